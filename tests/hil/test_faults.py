"""What devices and lines suffer is an event for the health monitor, and the same in a replay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.device import Fault
from khs.engine.inputs import Inputs
from khs.engine.lines import FAULT
from khs.errors import EngineError
from khs.hil import serial
from khs.image import Archive, open_system
from khs.trace import Names
from khs.trace.summary import Summary
from tests.hil.test_models import guarded
from tests.hil.test_serial import Deaf
from tests.hil.test_uart import MS, PORT_NAME, ROOT, archive

FRAMES = 20
PEER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
line, _ = server.accept()
heard = b""
while b"ready" not in heard:
    heard += line.recv(64)
line.sendall(b"last words")
while b"WORDS" not in heard:
    heard += line.recv(64)
print("answered", flush=True)
sys.stdin.read()
"""


def said(summary: Summary) -> list[tuple[str, str, int]]:
    """Text, action and number of what the health monitor was told."""
    events = [(group.first, group.count) for group in summary.health.values()]
    return [(e.text.decode(), e.action.word, count) for e, count in events]  # type: ignore[attr-defined]


def kept(folder: Path, url: str) -> tuple[runs.Ran, list[str]]:
    """A recorded run with the line, which is the same again without it."""
    told: list[str] = []
    plan = runs.plan(
        archive("sabrelite"),
        frames=FRAMES,
        record=folder,
        attached=attached([f"{PORT_NAME}={url}"]),
    )
    ran = runs.run(plan, say=told.append)
    assert ran.result.frames == FRAMES
    again = record.read(folder)
    replayed = replay.replay(again, replay.plan(again))
    assert replayed.equal
    assert said(replayed.ran.summary) == said(ran.summary)
    return ran, told


def test_a_killed_peer(tmp_path: Path) -> None:
    """What it said before is not lost."""
    pytest.importorskip("serial")
    with subprocess.Popen(
        [sys.executable, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        url = f"socket://127.0.0.1:{int(peer.stdout.readline())}"

        def kill() -> None:
            assert peer.stdout is not None
            assert peer.stdout.readline() == "answered\n"
            peer.send_signal(signal.SIGKILL)

        killing = threading.Thread(target=kill)
        killing.start()
        ran, told = kept(tmp_path / "kept", url)
        killing.join(10)
    assert said(ran.summary) == [("uart3: line lost", "log", 1)]
    assert ran.devices is not None
    counts = ran.devices[PORT_NAME]
    assert (counts["received"], counts["waiting"], counts["faults"]) == (10, 0, 1)
    assert [line for line in told if "the line is gone, the run goes on without it" in line]


def test_a_closed_pseudo_terminal(tmp_path: Path) -> None:
    pytest.importorskip("serial")
    master, slave = os.openpty()

    def talk() -> None:
        heard = b""
        while b"ready" not in heard:
            heard += os.read(master, 64)
        os.write(master, b"gone")
        while b"GONE" not in heard:
            heard += os.read(master, 64)
        os.close(master)

    talking = threading.Thread(target=talk)
    talking.start()
    ran, told = kept(tmp_path / "kept", os.ttyname(slave))
    talking.join(10)
    os.close(slave)
    assert said(ran.summary) == [("uart3: line lost", "log", 1)]
    assert ran.devices is not None
    assert ran.devices[PORT_NAME]["received"] == 4
    assert told[0].startswith(f"{PORT_NAME}: the line is gone")


def test_a_full_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "PATIENCE", 4)
    wire = Deaf()
    monkeypatch.setattr(serial, "_open_port", lambda name, url: wire)
    free = threading.Timer(1, wire.free.set)  # only for its thread to end
    free.start()
    ran, told = kept(tmp_path / "kept", "socket://nobody:1")
    free.join()
    assert said(ran.summary) == [("uart3: line full", "log", 1)]
    assert "the peer takes no more bytes" in told[0]
    assert told[1] == f"{PORT_NAME}: 6 bytes that it sent did not get there"


# ---- the health table ------------------------------------------------------


def summarised(
    image: Archive, frames: int, *rows: tuple[int, int, bytes]
) -> tuple[Summary, unicorn.Machine]:
    names = Names.from_header(runs.plan(image, frames=frames).header)
    summary = Summary(names)
    with unicorn.Machine(Inputs(image, list(rows))) as machine:
        result = machine.run(frames, notable=summary)
        machine.outcome = result.partitions["driver"]  # type: ignore[attr-defined]
    return summary, machine


def with_row(folder: Path, row: str, limit: str = "") -> Archive:
    overlay = folder / "row.toml"
    overlay.write_text(f"[health.partition.driver]\ndevice-fault = {row}\n{limit}\n")
    return open_system(str(ROOT / "images" / "uart"), [overlay], "sabrelite")


LOST = bytes([Fault.LINE_LOST])


def test_at_its_tick_in_any_window() -> None:
    """In the driver's window, the bystander's and in none, and wherever a run pauses."""
    ticks = [MS + 7, 4 * MS + 11, 8 * MS + 13]
    rows = [(tick, FAULT, LOST) for tick in ticks]
    seen = []

    def look(records: memoryview) -> None:
        from khs.trace import events

        at = 0
        while at < len(records):
            size = int.from_bytes(records[at + 8 : at + 12], "little")
            event = events.decode(records[at : at + size])
            if isinstance(event, events.Health):
                seen.append(event.tick)
            at += size

    hashes = set()
    for steps in ([], [4 * MS], [MS + 7, 4 * MS + 10, 8 * MS + 13]):
        with unicorn.Machine(Inputs(archive("sabrelite"), rows)) as machine:
            for step in steps:
                machine.advance(lambda drained: look(drained.records), until=step)
            hashes.add(machine.run(2, sink=look).trace_sha256)
        assert seen == ticks
        seen.clear()
    assert len(hashes) == 1


def test_the_table_says_what_is_done(tmp_path: Path) -> None:
    image = with_row(tmp_path, '{ action = "cold_restart" }')
    summary, machine = summarised(image, 10, (20 * MS, FAULT, LOST))
    assert said(summary) == [("uart3: line lost", "cold-restart", 1)]
    assert machine.outcome.restarts == 1  # type: ignore[attr-defined]


def test_who_was_stopped_is_not_started_by_a_device(tmp_path: Path) -> None:
    limit = 'limit = { restarts = 1, within = "20ms", then = "idle" }'
    image = with_row(tmp_path, '{ action = "cold_restart" }', limit)
    rows = [(tick * MS, FAULT, LOST) for tick in (20, 25, 70)]
    summary, machine = summarised(image, 10, *rows)
    assert said(summary) == [
        ("uart3: line lost", "cold-restart", 1),
        ("uart3: line lost", "idle-partition", 2),
    ]
    assert machine.outcome.restarts == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "row", [(0, FAULT | 1, LOST), (0, FAULT, b""), (0, FAULT, b"\xff"), (0, FAULT, LOST * 2)]
)
def test_a_fault_that_cannot_be(row: tuple[int, int, bytes]) -> None:
    with pytest.raises(EngineError, match="does not fit the system"):
        unicorn.Machine(Inputs(archive("sabrelite"), [row]))


WATCHDOG = """
from khs.hil import Device, Fault
class Watchdog(Device):
    at, barked = None, False
    def write(self, offset, size, value, now):
        self.at = None if self.barked else 2125000
    def next_event(self):
        return self.at
    def advance(self, now):
        self.at, self.barked = None, True
        self.fail(Fault.WATCHDOG)
"""


def test_a_watchdog_expires_while_its_owner_sleeps(
    khs: Callable[..., object], tmp_path: Path
) -> None:
    """At 17 ms: the owner's windows are the first halves of frames of 10."""
    system = guarded(tmp_path)
    (tmp_path / "dog.py").write_text(WATCHDOG)
    trace = tmp_path / "run.trace"
    done = khs("run", system, "--device", f"driver.i2c1={tmp_path / 'dog.py'}", "--trace", trace)
    assert done.code == 0, done.err  # type: ignore[attr-defined]
    told = khs("trace", trace).out  # type: ignore[attr-defined]
    [line] = [line for line in told.splitlines() if "device-fault" in line]
    assert "i2c1: watchdog expired" in line
    assert "17.000" in line


class Failing:
    """A line that is lost when it is told to be."""

    live = False

    def __init__(self) -> None:
        self.trouble: Fault | None = None

    def take(self) -> bytes:
        return b""

    def put(self, data: bytes) -> None:
        pass

    def fault(self) -> Fault | None:
        trouble, self.trouble = self.trouble, None
        return trouble


def test_a_fault_that_came_since_a_snapshot_never_did() -> None:
    line = Failing()
    with unicorn.Machine(archive("sabrelite"), lines={PORT_NAME: line}) as machine:
        line.trouble = Fault.LINE_LOST
        machine.run(2)
        kept = machine.snapshot(lambda drained: None)
        hashes = []
        for trouble in (Fault.LINE_FULL, None, Fault.LINE_FULL):
            line.trouble = trouble
            hashes.append(machine.run(2).trace_sha256)
            came = 2 if trouble else 1
            assert machine.devices.counts()[PORT_NAME]["faults"] == came
            assert len(machine.inputs) == machine.host.inputs == came
            machine.restore(kept)
        assert hashes[0] == hashes[2] != hashes[1]
        machine.forget(kept)
