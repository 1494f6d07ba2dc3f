"""A machine that goes back to a snapshot: with lines, models in Python, and what was set outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs import record, replay, runs
from khs.engine.changes import MODE, Change, Position
from khs.engine.device import Device
from khs.engine.native import Drained
from khs.engine.stepping import Stepper
from khs.engine.unicorn import Machine
from khs.image import Archive, open_system
from khs.trace.kinds import Mode

ROOT = Path(__file__).parents[2]
BOARDS = ["sabrelite", "pc", "q35"]
UART = "driver.uart3"


def take(drained: Drained) -> None:
    """Nobody looks."""


class Peer:
    """The other end of a serial line."""

    live = False

    def __init__(self) -> None:
        self.says, self.heard = b"", b""

    def take(self) -> bytes:
        said, self.says = self.says, b""
        return said

    def put(self, data: bytes) -> None:
        self.heard += data

    def fault(self) -> None:
        return None


def uart(board: str = "sabrelite") -> Archive:
    return open_system(str(ROOT / "images" / "uart"), [], board)


@pytest.mark.parametrize("board", BOARDS)
def test_what_came_in_since_never_did(board: str) -> None:
    peer, archive = Peer(), uart(board)
    ms = int(archive.manifest["clock_hz"]) // 1000
    with Machine(archive, lines={UART: peer}) as machine:
        machine.advance(take, until=15 * ms)
        snapshot = machine.snapshot(take)
        hashes, heard = set(), []
        for said in (b"one", b"another", b"one"):
            peer.says, peer.heard = said, b""
            machine.advance(take, until=60 * ms)
            heard.append(peer.heard)
            hashes.add(machine.boot().trace_sha256)
            assert machine.inputs == [(16 * ms, 0, said)]
            machine.restore(snapshot)
            assert machine.inputs == []
            assert machine.host.status().tick == 15 * ms
        machine.forget(snapshot)
    assert heard == [b"ONE", b"ANOTHER", b"ONE"]
    assert len(hashes) == 2


class Counting(Device):
    def reset(self) -> None:
        self.reads = 0

    def read(self, offset: int, size: int, now: int) -> int:
        self.reads += 1
        return 0

    def write(self, offset: int, size: int, value: int, now: int) -> None:
        self.irq = True  # so that the driver comes again and again


def test_models_in_python_go_back_too() -> None:
    model = Counting()
    with Machine(uart(), models={UART: model}) as machine:
        machine.advance(take, until=100_000)
        snapshot, reads = machine.snapshot(take), model.reads
        machine.advance(take, until=300_000)
        later = model.reads
        machine.restore(snapshot)
        assert 0 < reads == model.reads < later
        machine.advance(take, until=300_000)
        assert model.reads == later
        machine.forget(snapshot)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("mode", [Mode.IDLE, Mode.COLD_START, Mode.WARM_START])
def test_a_mode_set_from_outside_comes_again(board: str, mode: Mode, tmp_path: Path) -> None:
    archive = open_system(str(ROOT / "images" / "iot-gateway"), [], board)
    hz = int(archive.manifest["clock_hz"])
    frame, victim = hz // 50, 2
    with Machine(archive) as machine:
        machine.advance(take, until=7 * frame + frame // 3)
        machine.settle(take)
        at = Position(int(machine.host.status().tick))
        assert Stepper(machine.host).set_mode(victim, mode)
        machine.settle(take)
        view = machine.host.view(victim)
        assert (view.mode, view.restarts) == (mode, 0 if mode is Mode.IDLE else 1)
        result = machine.run(20 - 7)
        inputs = machine.inputs
    record.prepare(tmp_path / "kept")
    planned = runs.plan(archive, frames=20, record=tmp_path / "kept")
    recorder = runs.recorder(planned, live=True)
    assert recorder is not None
    recorder.end(result, inputs, [Change(at, victim, MODE, mode.to_bytes(4, "little"))])
    kept = record.read(tmp_path / "kept")
    replayed = replay.replay(kept, replay.plan(kept))
    assert replayed.ran.result.trace_sha256 == result.trace_sha256
    assert replayed.equal


def test_normal_is_no_mode_to_set() -> None:
    with Machine(uart()) as machine:
        machine.advance(take, until=5_000_000)
        machine.settle(take)
        assert not Stepper(machine.host).set_mode(0, Mode.NORMAL)
        assert not Stepper(machine.host).set_mode(7, Mode.IDLE)
