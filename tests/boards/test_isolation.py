"""What partitions reach on a board, seen from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from khs.engine import qemu
from khs.engine.qemu import isolation
from khs.engine.qemu.paused import Paused
from khs.engine.qemu.tables import Reach, walk
from khs.errors import EngineError

from .conftest import BOARDS, archive, changed_firmware, firmware

MANY_PAGES = 30
FRAMES = 400


def test_the_cpu_uses_the_tables_that_are_checked(board: str) -> None:
    """At every look the CPU has some partition's tables, and finds each page where they say."""
    built, seen = archive("iot-gateway", board), []
    reaches: list[list[Reach]] = []

    async def look(paused: Paused) -> None:
        if not reaches:
            where = qemu_log(machine, FRAMES)
            roots = isolation.roots(paused.memory, where, len(built.names["partitions"]))
            reaches.extend(list(walk(paused.memory, BOARDS[board], root).reaches) for root in roots)
            tables.extend(roots)
        pages = [each for space in reaches for each in space[:MANY_PAGES]]
        found = {each.address: await paused.translate(each.address) for each in pages}
        agreeing = [
            number
            for number, space in enumerate(reaches)
            if all(found[each.address] == each.physical for each in space[:MANY_PAGES])
        ]
        in_force = await paused.page_tables()
        if in_force is not None:
            assert [tables[number] for number in agreeing] == [in_force]
        assert len(agreeing) == 1
        seen.append(agreeing[0])

    tables: list[int] = []
    with qemu.Machine(built, firmware(board)) as machine:
        machine.run(FRAMES, inspect=look)
    assert seen


def qemu_log(machine: qemu.Machine, frames: int) -> int:
    return machine.board.profile.image + len(machine.boot_image(frames))


WRITABLE = (
    "boards/firmware/common/memory.c",
    "uint64_t size = f->regions[m->region].size;",
    "uint64_t size = f->regions[m->region].size + (i + 1 < maps.first + maps.count ? 0 : 4096);",
)
ERRORS = {
    "more than its region": (WRITABLE, "none of its regions|region's memory|other memory"),
    "everything writable": (
        ("boards/firmware/common/memory.c", "size, m->rights))", "size, m->rights | KHS_W))"),
        r"reaches 0x[0-9a-f]+ \(r?wx?\), where it has rx?",
    ),
    "the wrong region": (
        (
            "boards/firmware/common/memory.c",
            "(uintptr_t)f->memory[m->region], size",
            "(uintptr_t)f->memory[i ? m->region - (m->region > 0) : 0], size",
        ),
        "region's memory|other memory",
    ),
    "the kernel's memory": (
        (
            "boards/firmware/common/memory.c",
            "(uintptr_t)f->memory[m->region], size",
            "i == 0 ? (uintptr_t)f->image : (uintptr_t)f->memory[m->region], size",
        ),
        "in the kernel's memory",
    ),
}


@pytest.mark.parametrize("error", ERRORS)
def test_a_port_that_maps_wrongly_is_found(error: str, board: str, tmp_path: Path) -> None:
    change, words = ERRORS[error]
    wrong = changed_firmware(tmp_path, BOARDS[board], change)
    with (
        qemu.Machine(archive("iot-gateway", board), wrong) as machine,
        pytest.raises(EngineError, match=f"does not isolate its partitions: .*({words})"),
    ):
        machine.run(2)
