"""CAN as users have it: images/can on all boards, --can, recordings, python-can, DBCs, plants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.inputs import Inputs
from khs.errors import KhsError
from khs.hil import bench
from khs.hil.can import Buses
from khs.hil.frames import Database, Frame, frames
from khs.image import Archive, open_system
from khs.runs import running
from tests.hil.can_guests import length

ROOT = Path(__file__).parents[2]
BOARDS = ["sabrelite", "pc", "q35"]
BURST = ROOT / "images" / "can" / "burst.toml"
FIELD = {"asker.can1": "field", "answerer.can2": "field"}
MS = 125_000
DBC = """VERSION ""
BS_:
BU_: KHS
BO_ 256 Ask: 4 KHS
 SG_ Number : 0|32@1+ (1,0) [0|0] "" KHS
BO_ 257 Answer: 4 KHS
 SG_ Turned : 0|32@1+ (1,0) [0|0] "" KHS
BO_ 768 Drive: 8 KHS
 SG_ Rpm : 0|16@1- (0.5,0) [-8000|8000] "rpm" KHS
 SG_ Torque : 16|16@1- (0.1,0) [-100|100] "Nm" KHS
"""


@cache
def archive(board: str = "sabrelite") -> Archive:
    return open_system(str(ROOT / "images" / "can"), [BURST], board)


@pytest.fixture
def dbc(tmp_path: Path) -> Path:
    path = tmp_path / "field.dbc"
    path.write_text(DBC)
    return path


@pytest.mark.parametrize("board", BOARDS)
def test_two_partitions_talk(board: str) -> None:
    sent = bytearray()
    with unicorn.Machine(archive(board), can=FIELD) as machine:
        fetch = machine.devices.fetch

        def kept() -> dict[str, bytes]:
            out = fetch()
            sent.extend(out.get("asker.can1", b""))
            return out

        machine.devices.fetch = kept  # type: ignore[method-assign]
        result = machine.run(20)
        counts = machine.devices.counts()
    assert all(row.faults == 0 for row in result.partitions.values())
    heard = list(frames(bytes(sent)))
    asked = [int.from_bytes(f.data, "little") for f in heard if f.id == 0x100]
    answers = [0xFFFFFFFF - int.from_bytes(f.data, "little") for f in heard if f.id == 0x101]
    assert asked == list(range(len(asked)))
    assert answers == asked[: len(answers)]
    assert len(asked) >= len(answers) >= 50
    assert counts["answerer.can2"]["overruns"] == 0


@pytest.mark.parametrize("board", BOARDS)
def test_apart_they_do_not(board: str) -> None:
    """Controllers that are on no bus with others are alone; nobody acknowledges, nothing hangs."""
    with unicorn.Machine(archive(board)) as machine:
        machine.run(5)
        assert machine.devices.fetch() == {}


def test_run_record_replay(khs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The recording knows the buses; the log is candump's."""
    kept, log = tmp_path / "kept", tmp_path / "bus.log"
    joins = [word for pair in FIELD.items() for word in ("--can", "=".join(pair))]
    joins += ["--with", BURST]
    done = khs("run", "can", *joins, "--frames", 20, "--record", kept, "--can-log", log, "--json")
    assert done.code == 0, done.err
    devices = json.loads(done.out)["devices"]
    lines = log.read_text().splitlines()
    times = [float(line[1:9]) for line in lines]
    bits = length(Frame(0x100, bytes(4))) + 10
    assert lines[0].endswith(" field 100#00000000 T")
    assert 0.010 + bits * 1e-6 < times[0] < 0.0102
    assert abs(times[1] - times[0] - (bits + 3) * 1e-6) < 5e-6  # it waited for the one before
    assert len(lines) * 16 == sum(row["sent"] for row in devices.values())
    again = khs("replay", kept)
    assert again.code == 0, again.err
    assert "equal: the trace is the recorded one" in again.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--can", "asker.can1"], "not of the form PARTITION.DEVICE=BUS"),
        (["--can", "asker.can9=field"], "there is no such device of a partition"),
        (["--can-log", "x.log"], "what is on the buses of --can, and there is none"),
        (["--can", "asker.can1=nothing:here"], "help: a name, or INTERFACE:CHANNEL of python-can"),
        (["--can", "asker.can1=virtual:a", "--isolate"], "--can is not for --isolate"),
        (["--can", "asker.can1=field", "--engine", "qemu"], "board does not have asker.can1, "),
        (["--can", "asker.can1=udp_multicast:239.1.2.3", "--engine", "qemu"], "among controllers"),
    ],
)
def test_errors_say_what_would_be_right(khs, words: list[str], told: str) -> None:  # type: ignore[no-untyped-def]
    done = khs("run", "can", "--frames", 1, *words)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_uart_is_on_no_bus(khs) -> None:  # type: ignore[no-untyped-def]
    done = khs("run", "uart", "--frames", 1, "--can", "driver.uart3=field")
    assert done.code == 2
    assert "--can driver.uart3: that device is no CAN controller" in done.err


# ---- python-can ----------------------------------------------------------------------------

PEER = """
import sys, can
bus = can.Bus(interface="udp_multicast", channel=sys.argv[1], port=int(sys.argv[2]))
print("ready", flush=True)
end = int(sys.argv[3])
while end:
    got = bus.recv(20)
    if got is None:
        sys.exit("nothing came")
    if got.arbitration_id == 0x100:
        bus.send(can.Message(arbitration_id=0x101, is_extended_id=False,
                             data=bytes(255 - byte for byte in got.data)))
        end -= 1
"""
GROUP = "239.74.163.2"


def multicast() -> bool:
    import can

    try:
        with can.Bus(interface="udp_multicast", channel=GROUP, port=40_000 + os.getpid() % 9_999):
            return True
    except (can.CanError, OSError):
        return False


def test_another_process_answers_and_the_run_replays_without_it(tmp_path: Path) -> None:
    """The asker's bus leads outside; the answers come from there, and from the recording again."""
    if not multicast():
        pytest.skip("this kernel has no multicast on any interface")
    port = 40_000 + os.getpid() % 9_999
    peer = subprocess.Popen(
        [sys.executable, "-c", PEER, GROUP, str(port), "15"], stdout=subprocess.PIPE
    )
    assert peer.stdout is not None
    assert peer.stdout.readline() == b"ready\n"
    told: list[str] = []
    joined = attached(buses=[f"asker.can1=udp_multicast:{GROUP}?port={port}"])
    plan = runs.plan(archive(), frames=30, record=tmp_path / "kept", attached=joined)
    try:
        ran = runs.run(plan, console=told.append)
        assert peer.wait(10) == 0
    finally:
        peer.kill()
        peer.wait()
        peer.stdout.close()
    assert not ran.result.reproducible
    assert ran.devices is not None
    assert ran.devices["asker.can1"]["received"] == 16 * 16  # 15 answers, and that it is there
    assert any("15 answered, 0 wrong" in line for line in told)
    kept = record.read(tmp_path / "kept")
    again = replay.replay(kept, replay.plan(kept))
    assert again.equal


def test_a_bus_that_goes_away_is_told_and_acknowledges_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A virtual bus, whose peer lets it fail in the midst of the run."""
    import can

    made: list[can.BusABC] = []
    opened = can.Bus

    def bus(**config: object) -> can.BusABC:
        made.append(opened(**config))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(can, "Bus", bus)
    told: list[str] = []
    joined = attached(buses=["asker.can1=virtual:there"])
    with Buses(joined, ["asker.can1"], told.append) as buses:
        line = buses.lines["asker.can1"]
        with opened(interface="virtual", channel="there") as peer:
            peer.send(can.Message(arbitration_id=0x12345, data=b"hi"))
            peer.send(
                can.Message(arbitration_id=0x1, is_extended_id=False, is_remote_frame=True, dlc=3)
            )
            came = b""
            until = time.monotonic() + 10
            while len(came) < 48 and time.monotonic() < until:
                came += line.take()
            assert list(frames(came)) == [
                Frame(0x12345, b"hi", True),
                Frame(1, remote=True, size=3),
            ]
            line.put(Frame(0x7, b"out").record)
            back = peer.recv(10)
            assert back is not None
            assert (back.arbitration_id, bytes(back.data)) == (7, b"out")

            def fail(message: can.Message, timeout: float | None = None) -> None:
                raise can.CanOperationError("the cable is out")

            monkeypatch.setattr(made[0], "send", fail)
            line.put(Frame(8).record)
            while line.fault() is None and time.monotonic() < until:
                pass
        assert line.take()[0] == 0x20  # nobody acknowledges
        assert line.take() == b""
    assert "the line is gone, the run goes on without it: the cable is out" in told[0]
    assert "16 bytes that it sent did not get there" in told[1]


def test_socketcan() -> None:
    import can

    try:
        bus = can.Bus(interface="socketcan", channel="vcan0")
    except (can.CanError, OSError) as error:
        pytest.skip(f"no vcan0: {error}")
    with bus:
        joined = attached(buses=["asker.can1=socketcan:vcan0"])
        thread = threading.Thread(
            target=runs.run, args=(runs.plan(archive(), frames=5, attached=joined),)
        )
        thread.start()
        assert bus.recv(10) is not None
        thread.join()


# ---- DBC and plants ------------------------------------------------------------------------


def test_a_database_encodes_decodes_and_shows(dbc: Path, tmp_path: Path) -> None:
    database = Database(dbc)
    frame = database.encode("Drive", {"Rpm": -12.5, "Torque": 3.2})
    assert frame == Frame(0x300, b"\xe7\xff\x20\x00" + bytes(4))
    assert database.decode(frame) == ("Drive", {"Rpm": -12.5, "Torque": 3.2})
    assert database.show(frame) == "300#E7FF200000000000 Drive(Rpm=-12.5, Torque=3.2)"
    assert database.decode(Frame(0x301)) is None
    with pytest.raises(KhsError, match=r"there is no message Brake\n  help: there are Ask, Answer"):
        database.encode("Brake", {})
    with pytest.raises(KhsError, match=r"field\.dbc: Drive: "):
        database.encode("Drive", {"Rpm": 1e9, "Torque": 0})
    (tmp_path / "bad.dbc").write_text("BO_ what")
    with pytest.raises(KhsError, match=r"bad\.dbc: cannot be read"):
        Database(tmp_path / "bad.dbc")


def benched(folder: Path, wires: str) -> bench.Bench:
    (folder / "field.dbc").write_text(DBC)
    (folder / "plant.py").write_text(
        "from khs.hil import Plant\n"
        "class Echo(Plant):\n"
        "    def __init__(self):\n"
        "        self.number, self.turned = 0, 0\n"
        "    def step(self, dt):\n"
        "        self.turned = 0xFFFFFFFF - self.number\n"
    )
    (folder / "bench.toml").write_text(
        'format = 1\n[bench]\nsystem = "can"\n'
        '[can.field]\nnodes = ["asker.can1"]\ndbc = "field.dbc"\n'
        '[plant.echo]\npython = "plant.py"\nstep = "frame"\n' + wires
    )
    return bench.read(folder / "bench.toml")


WIRES = """[plant.echo.inputs]
number = { can = "field", message = "Ask", signal = "Number" }
[plant.echo.outputs]
turned = { can = "field", message = "Answer", signal = "Turned" }
"""


def test_a_plant_is_a_node_of_a_bus(tmp_path: Path) -> None:
    joined = attached(bench=benched(tmp_path, WIRES))
    log = tmp_path / "log"
    plan = runs.plan(
        archive(), frames=6, record=tmp_path / "kept",
        attached=attached(bench=joined.bench, can_log=log),
    )  # fmt: skip
    ran = runs.run(plan)
    said = [line.split()[2] for line in log.read_text().splitlines()]
    assert "100#02000000" in said  # nobody else is there to acknowledge
    assert ran.devices is not None
    assert ran.devices["asker.can1"]["received"] >= 16 * 6
    kept = record.read(tmp_path / "kept")
    assert replay.replay(kept, replay.plan(kept)).equal


def test_a_plant_hears_a_bus_of_python_can_and_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says the number that a peer on a virtual bus said; the peer hears that, and what the
    system's controllers send. The run ends when it has."""
    import can

    benched(
        tmp_path,
        """[plant.echo.inputs]
number = { can = "field", message = "Drive", signal = "Torque" }
[plant.echo.outputs]
number = { can = "field", message = "Answer", signal = "Turned" }
""",
    )
    plant, file = tmp_path / "plant.py", tmp_path / "bench.toml"
    plant.write_text(plant.read_text().replace("self.turned = 0xFFFFFFFF - self.number", "pass"))
    file.write_text(file.read_text().replace("dbc =", 'join = "virtual:hears"\ndbc ='))
    heard: set[tuple[int, bytes]] = set()
    wanted = {(0x100, bytes(4)), (0x101, bytes([7, 0, 0, 0]))}
    machines: list[runs.Machine] = []

    def opened(*args: Any, **more: Any) -> runs.Machine:
        machines.append(runs.open_machine(*args, **more))
        return machines[-1]

    def talk() -> None:
        """To whoever is there by now."""
        until = time.monotonic() + 20
        while not wanted <= heard and time.monotonic() < until:
            data = [0, 0, 70, 0, 0, 0, 0, 0]
            peer.send(can.Message(arbitration_id=0x300, data=data, is_extended_id=False))
            while (got := peer.recv(0.01)) is not None:
                heard.add((got.arbitration_id, bytes(got.data)))
        machines[-1].stop()

    monkeypatch.setattr(running, "open_machine", opened)
    log = tmp_path / "log"
    plan = runs.plan(
        archive(),
        frames=100_000,
        attached=attached(bench=bench.read(file), can_log=log, pace="real"),
    )
    with can.Bus(interface="virtual", channel="hears") as peer:
        talking = threading.Thread(target=talk)
        talking.start()
        runs.run(plan)
        talking.join()
    assert wanted <= heard
    assert {number for number, _ in heard} == {0x100, 0x101}
    said = log.read_text()
    assert " 300#0000460000000000 R" in said
    assert " 101#07000000 R" in said


# ---- records from anybody ------------------------------------------------------------------


def some_inputs() -> Iterator[tuple[int, int, bytes]]:
    """Frames, half ones, and nonsense, at the asker's controller."""
    for number in range(40):
        yield number * 7777, 0, Frame(0x500 + number, bytes([number])).record[number % 3 :]


def test_any_records_at_all_are_borne() -> None:
    rows = list(some_inputs())
    outcomes = []
    for steps in (range(0), range(1000, 300_000, 9_999)):
        with unicorn.Machine(Inputs(archive(), rows), can=FIELD) as machine:
            for tick in steps:
                machine.advance(lambda drained: None, until=tick)
            result = machine.run(10 - machine.host.status().frames)
            outcomes.append(
                (result.trace_sha256, machine.devices.counts()["asker.can1"]["received"])
            )
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] > 0
