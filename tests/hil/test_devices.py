"""images/devices: drivers of timers, pins and watchdogs, on the models and on QEMU's."""

from __future__ import annotations

import shutil
import struct
from functools import cache
from pathlib import Path

import pytest

from khs import compare, runs
from khs.engine import unicorn
from khs.engine.inputs import Inputs, Stamped
from khs.errors import EngineError
from khs.image import Archive, open_system
from khs.trace import Names, events
from khs.trace.events import Event

ROOT = Path(__file__).parents[2]
BOARDS = {
    "sabrelite": "qemu-system-arm",
    "pc": "qemu-system-i386",
    "q35": "qemu-system-x86_64",
}
MS = 125_000


@cache
def archive(board: str, *overlays: str) -> Archive:
    folder = ROOT / "images" / "devices"
    layers = [] if board == "sabrelite" else [folder / "pc.toml"]
    return open_system(str(folder), [*layers, *(folder / name for name in overlays)], board)


def played(image: Archive, frames: int, inputs: list[Stamped] | None = None) -> list[Event]:
    seen: list[Event] = []
    with unicorn.Machine(Inputs(image, inputs or [])) as machine:
        machine.run(
            frames,
            sink=lambda records: seen.extend(map(events.decode, events.split(records))),
        )
    return seen


def texts(seen: list[Event], partition: int) -> list[str]:
    said = (e for e in seen if isinstance(e, events.Console) and e.partition == partition)
    return "".join(event.text.decode() for event in said).splitlines()


@pytest.mark.parametrize("board", BOARDS)
def test_both_engines_compare_equal(board: str) -> None:
    from khs.engine import qemu
    from tests.boards.conftest import firmware

    if shutil.which(BOARDS[board]) is None:
        pytest.skip(f"{BOARDS[board]} is not installed")
    built = archive(board)
    recorders = [compare.Recorder(4) for _ in range(2)]
    with unicorn.Machine(built) as here, qemu.Machine(built, firmware(board)) as there:
        result = here.run(60, sink=recorders[0])
        there.run(60, sink=recorders[1])
    assert compare.incomparable(built.manifest) == {}
    names = Names.from_header(runs.plan(built).header)
    last = result.ticks - result.ticks // 60
    found = compare.compare(names, *recorders, left_out={}, last_frame=last)
    assert found.difference is None
    assert found.compared["timer"] > 200
    assert found.compared["watchdog"] > 60


@pytest.mark.parametrize(("board", "hz", "cycles"), [
    ("sabrelite", 66_000_000, 660_000), ("pc", 1_193_182, 11_932), ("q35", 1_193_182, 11_932),
])  # fmt: skip
def test_the_timer_keeps_its_time(board: str, hz: int, cycles: int) -> None:
    """Each interrupt of a second at its tick, all of them in the timer's windows."""
    seen = played(archive(board), 100)
    ticks = [e.tick for e in seen if isinstance(e, events.Interrupt) and e.irq == 3]
    assert len(ticks) == 99
    assert texts(seen, 0) == [f"{n} interrupts" for n in range(20, 100, 20)]
    last = (ticks[0] * hz // (1000 * MS)) + 98 * cycles
    assert abs(ticks[-1] - last * 1000 * MS / hz) < 1000 * MS / hz


def test_pins_follow_pins() -> None:
    """What is at the inputs is at the outputs in the driver's next window."""
    image = archive("sabrelite")
    inputs = [
        (14 * MS, 1, struct.pack("<II", 0xFF, 0x81)),
        (26 * MS, 1, struct.pack("<II", 0x10001, 0x10000)),
    ]
    seen = played(image, 6, inputs)
    assert texts(seen, 1) == ["inputs 00 81", "inputs 01 80", "inputs 01 80"]
    told = [e for e in seen if isinstance(e, events.Interrupt) and e.partition == 1]
    assert [event.irq for event in told] == [3, 3, 4]
    assert [event.tick for event in told[:2]] == [14 * MS, 33 * MS]


@pytest.mark.parametrize("board", BOARDS)
def test_who_hangs_is_started_again(board: str) -> None:
    """Two seconds after it was served last, in whoever's window that is."""
    seen = played(archive(board, "hang.toml"), 270)
    (fault,) = [event for event in seen if isinstance(event, events.Health)]
    assert fault.text.decode().endswith(": watchdog expired")
    served = 25 * 20 * MS + 5 * MS
    assert served <= fault.tick - 2000 * MS < served + MS // 10
    warned = ["the watchdog expires in half a second"] if board == "sabrelite" else []
    again = ["the watchdog had expired"] if board == "sabrelite" else []
    first = ["served 1 times", "hangs", *warned]
    assert texts(seen, 2) == [*first, *again, "served 1 times"]


@pytest.mark.parametrize("board", ["q35"])
def test_a_watchdog_resets_a_board_in_qemu(board: str) -> None:
    from khs.engine import qemu
    from tests.boards.conftest import firmware

    if shutil.which(BOARDS[board]) is None:
        pytest.skip(f"{BOARDS[board]} is not installed")
    built = archive(board, "hang.toml")
    with (
        qemu.Machine(built, firmware(board)) as machine,
        pytest.raises(EngineError, match=r"a watchdog expired in frame 2\d\d and has reset"),
    ):
        machine.run(400)
