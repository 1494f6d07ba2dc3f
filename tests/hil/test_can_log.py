"""Frames that come from files: at their times, of one bus, or told what is wrong; and the log, which
one of them may be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine.unicorn import Machine
from khs.errors import KhsError
from khs.hil import bench as benches
from khs.hil.around import Around
from khs.hil.can_log import read_frames
from khs.hil.frames import THERE, Frame, bus_error
from tests.hil.test_again import take
from tests.hil.test_can import MS, archive, benched

HZ = 1000 * MS
#: What answers the asker's first two questions; and one from before anybody listens.
ANSWERS = """
(0.000001) far 7FF#
(0.014000) far 101#FFFFFFFF R
(0.024000) far 101#FEFFFFFF
"""


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def read(path: Path, content: str, query: str = "") -> list[tuple[int, bytes]]:
    said: list[str] = []
    found = read_frames(f"file:{text(path, content)}{query}", HZ, said.append)
    assert said == []
    return found


def test_what_stands_in_a_file(tmp_path: Path) -> None:
    """All that candump, python-can and a log of KHS write of CAN 2.0."""
    rows = """
    (0.000000) can0 123#DEADBEEF
    (0.0100) can0 00000123#de T
    (1) can0 7FF#R4 R
    (1.000000008) can0 1FFFFFFF#
    (2.5) can0 001#R
    (3.000000) can0 123#1122334455667788_B"""
    assert read(tmp_path / "in.log", rows) == [
        (0, Frame(0x123, b"\xde\xad\xbe\xef").record),
        (10 * MS, Frame(0x123, b"\xde", True).record),
        (HZ, Frame(0x7FF, remote=True, size=4).record),
        (HZ + 1, Frame(0x1FFFFFFF, b"", True).record),
        (2 * HZ + HZ // 2, Frame(1, remote=True, size=0).record),
        (3 * HZ, Frame(0x123, b"\x11\x22\x33\x44\x55\x66\x77\x88").record),
    ]


@pytest.mark.parametrize(
    ("times", "query", "ticks"),
    [
        (("0.020000", "0.030000"), "", [20 * MS, 30 * MS]),
        (("0.020000", "0.030000"), "?begin=5ms", [5 * MS, 15 * MS]),
        (("1436509053.850870", "1436509053.860870"), "", [0, 10 * MS]),
        (("1436509053.850870", "1436509053.860870"), "?begin=1s", [HZ, HZ + 10 * MS]),
        (("999999999.000000", "999999999.000001"), "?begin=0ms", [0, 125]),
    ],
)
def test_when_they_come(tmp_path: Path, times: list[str], query: str, ticks: list[int]) -> None:
    content = "".join(f"({time}) can0 123#\n" for time in times)
    assert [tick for tick, _ in read(tmp_path / "in.log", content, query)] == ticks


MIXED = "(0.1) a 001# R\n(0.2) b 002# R\n(0.3) a 003# T\n"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("?bus=a", [1, 3]), ("?bus=b&only=R", [2]), ("?only=T&bus=a", [3]), ("?bus=b&only=T", [])],
)
def test_which_of_them_come(tmp_path: Path, query: str, numbers: list[int]) -> None:
    found = read(tmp_path / "in.log", MIXED, query)
    assert [row[1] for row in found] == [Frame(number).record for number in numbers]


def test_what_no_bus_of_can_2_has_is_counted(tmp_path: Path) -> None:
    said: list[str] = []
    content = "(0) c 123##1AABB\n(0) c 20000088#0000000000000000\n(0) c 123#\n"
    found = read_frames(f"file:{text(tmp_path / 'in.log', content)}", HZ, said.append)
    assert found == [(0, Frame(0x123).record)]
    assert said == [f"{tmp_path / 'in.log'}: 2 frames there were none of CAN 2.0"]


def test_reports_of_errors_destroy_frames_if_asked_for(tmp_path: Path) -> None:
    """Those of frames; others say nothing of any."""
    rows = "(0) c 20000088#0000020800000000\n(0) c 123#\n(0) c 20000020#0000000000000000\n"
    said: list[str] = []
    place = f"file:{text(tmp_path / 'in.log', rows)}"
    found = read_frames(f"{place}?errors=yes", HZ, said.append)
    assert found == [(0, bus_error("form", 8)), (0, Frame(0x123).record)]
    assert said == [f"{tmp_path / 'in.log'}: 1 frames there were none of CAN 2.0"]
    assert read_frames(f"{place}?errors=no", HZ, said.append) == [(0, Frame(0x123).record)]


@pytest.mark.parametrize(
    ("content", "query", "told"),
    [
        ("(0.1) can0 123#", "?errors=on", "errors=on: yes or no"),
        ("(0.1) can0 123#\n\nnonsense", "", r":3: no frame with its time and bus\n  help: as cand"),
        ("0.1 can0 123#", "", r":1: no frame"),
        ("(0.1) can0 123#ABC", "", r':1: "ABC" is no data'),
        ("(0.1) can0 123#112233445566778899", "", r":1: a frame has up to 8 bytes"),
        ("(0.1) can0 123#R9", "", r":1: a frame has up to 8 bytes, a remote one a size alone"),
        ("(0.1) can0 800#", "", r":1: 0x800 is no identifier of 11 bits"),
        ("(0.1) can0 C0000000#", "", r":1: 0xc0000000 is no identifier of 29 bits"),
        ("(0.2) can0 1#\n(0.1) can0 1#", "", r":2: it is before the frame above it\n  help: in"),
        ("(0.1) can0 1#", "?begin=999999999999h", r"begin=999999999999h: "),
        ("(0.1) can0 1#", "?begin=9", r"begin=9: .*\n  help: file:IN\.log, and behind it \?bus"),
        ("(0.1) can0 1#", "?bsu=can0", r'there is no bsu=; did you mean "bus"'),
        ("(0.1) can0 1#", "?bus", r"\n  help: file:IN\.log, and"),
        ("(0.1) can0 1#", "?only=X", r"only=X: R, what came from outside, or T"),
        ("(0.1) can0 1#", "?only=R", r":1: neither R nor T, and only=R\n  help: candump -L -x"),
        ("(0.1) can0 1#", "?bus=can1", r": no bus can1\n  help: there is can0"),
        (MIXED, "", r": frames of a, b\n  help: one of them: file:.*\?bus=a"),
        ("(999999999999) can0 1#", "?begin=200000000s", r":1: that time is never|begin="),
    ],
)
def test_what_is_wrong(tmp_path: Path, content: str, query: str, told: str) -> None:
    with pytest.raises(KhsError, match=told):
        read(tmp_path / "in.log", content, query)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, told in (("nowhere", "No such file"), (".", "Is a directory"), ("bytes", "decode")):
        with pytest.raises(KhsError, match=told):
            read_frames(f"file:{tmp_path / name}", HZ, print)


def ran(folder: Path, can: str, frames: int = 4) -> list[str]:
    """A recorded run, which is the same again without the file; what its log has."""
    joined = attached(buses=[f"asker.can1={can}"], can_log=folder / "out.log")
    plan = runs.plan(archive(), frames=frames, record=folder / "kept", attached=joined)
    done = runs.run(plan)
    assert done.healthy
    assert done.result.reproducible
    again = record.read(folder / "kept")
    assert replay.replay(again, replay.plan(again)).equal
    return (folder / "out.log").read_text().splitlines()


def test_others_on_the_bus_are_a_file(tmp_path: Path) -> None:
    """Frames come at their ticks, and whoever they are of acknowledges."""
    given = text(tmp_path / "in.log", ANSWERS)
    lines = ran(tmp_path, f"file:{given}")
    inputs = [row[::2] for row in record.read(tmp_path / "kept").inputs]
    assert inputs[0] == (0, THERE)
    assert [tick for tick, _ in inputs[1:]] == [125, 14 * MS, 24 * MS]
    bus = re.escape(f"file:{given}")
    came = [line for line in lines if line.endswith(" R")]
    assert [re.sub(rf"^\((.*)\) {bus} (\S+) R$", r"\1 \2", line) for line in came] == [
        "0.000001 7FF#", "0.014000 101#FFFFFFFF", "0.024000 101#FEFFFFFF"
    ]  # fmt: skip
    sent = [line.split()[2] for line in lines if line.endswith(" T")]
    assert sent[:3] == ["100#00000000", "100#01000000", "100#02000000"]
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)


def test_the_log_of_one_run_is_the_input_of_another(tmp_path: Path) -> None:
    """What came from outside is the outside again, and the run is the same."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = ran(tmp_path / "a", f"file:{text(tmp_path / 'in.log', ANSWERS)}")
    second = ran(tmp_path / "b", f"file:{tmp_path / 'a' / 'out.log'}?only=R")
    assert [line.split(")")[0] for line in first] == [line.split(")")[0] for line in second]
    assert [line.split()[2:] for line in first] == [line.split()[2:] for line in second]
    kept = [record.read(tmp_path / each / "kept") for each in "ab"]
    assert kept[0].inputs == kept[1].inputs


def test_files_go_back_with_a_snapshot(tmp_path: Path) -> None:
    given, kept = text(tmp_path / "in.log", ANSWERS), tmp_path / "out.log"
    joined = attached(buses=[f"asker.can1=file:{given}"], can_log=kept)
    around, outcomes = Around.opened(joined, archive().manifest), []
    with (
        around as outside,
        Machine(archive(), outside=outside.meet, can=joined.can) as machine,
    ):
        machine.advance(take, until=12 * MS)
        snapshot = machine.snapshot(take)
        for _ in range(2):
            machine.advance(take, until=30 * MS)
            outcomes.append((list(machine.inputs), machine.boot().trace_sha256))
            machine.restore(snapshot)
        machine.advance(take, until=30 * MS)
        machine.forget(snapshot)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][0]) == 4
    rows = [line.split()[2:] for line in kept.read_text().splitlines()]
    assert [row for row in rows if row[1] == "R"] == [
        ["7FF#", "R"], ["101#FFFFFFFF", "R"], ["101#FEFFFFFF", "R"]
    ]  # fmt: skip


def test_a_bench_says_it(tmp_path: Path) -> None:
    """Its file lies beside it; a plant hears what comes, and is heard."""
    text(tmp_path / "in.log", "(0.014000) x 101#2A000000\n(0.024000) x 100#05000000\n")
    wires = """[plant.echo.inputs]
number = { can = "field", message = "Answer", signal = "Turned" }
[plant.echo.outputs]
turned = { can = "field", message = "Drive", signal = "Rpm" }
"""
    benched(tmp_path, wires)
    plant = tmp_path / "plant.py"
    plant.write_text(plant.read_text().replace("0xFFFFFFFF - self.number", "self.number"))
    file = tmp_path / "bench.toml"
    file.write_text(file.read_text().replace("dbc =", 'join = "file:in.log?bus=x"\ndbc ='))
    log = tmp_path / "out.log"
    made = attached(bench=benches.read(file), can_log=log)
    assert made.joins == {"field": f"file:{tmp_path / 'in.log'}?bus=x"}
    assert not made.live
    runs.run(runs.plan(archive(), frames=4, attached=made))
    said = [line.split()[2] for line in log.read_text().splitlines() if "300#" in line]
    assert said == ["300#0000000000000000"] * 2 + ["300#5400000000000000"] * 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--can", "asker.can1=file:/nowhere.log"], "/nowhere.log: No such file or directory"),
        (["--can", "asker.can1=file:x.log", "--isolate"], "--can is not for --isolate"),
        (["--can", "asker.can1=file:x.log", "--gdb", ":0"], "goes back"),
        (["--can", "asker.can1=field", "--can-log", "/no/where"], "/no/where: cannot be written"),
    ],
)
def test_errors_on_the_command_line(khs, words: list[str], told: str) -> None:  # type: ignore[no-untyped-def]
    done = khs("run", "can", "--frames", 1, *words)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
