"""The address plan, and what does not fit it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from khs.config.model import PAGE, Arch, Right, System
from khs.errors import Finding
from khs.image import elf
from khs.image.layout import Layout, Map, heap_address, plan
from tests.image.elves import Elf, R, Segment, W, X, loop
from tests.image.systems import load_system

BASE = 0x40000000
INFO = b"start information"


@pytest.fixture
def system(tmp_path: Path) -> System:
    return load_system(tmp_path / "pair", Arch.X86)


def lay_out(
    system: System, *segments: Segment, arch: Arch = Arch.X86
) -> tuple[Layout, list[Finding]]:
    """Both partitions run the program with these segments."""
    program = elf.read(bytes(Elf(arch, list(segments))), arch, "guest.elf")
    programs = {each.name: program for each in system.partitions}
    return plan(system, programs, {each.name: INFO for each in system.partitions})


def content(layout: Layout, each: Map) -> bytes:
    """What memory.bin holds for a map, without the zeros that follow."""
    offset, region = layout.offsets[each.region], layout.regions[each.region]
    data = layout.memory[offset : offset + len(region.data)]
    assert data == region.data
    return data.ljust(region.size, b"\0")


def at(layout: Layout, address: int) -> Map:
    (found,) = [each for each in layout.maps[0] if each.address == address]
    return found


@pytest.mark.parametrize(
    ("arch", "trap"),
    [(Arch.X86, b"\xcc" * 4), (Arch.X64, b"\xcc" * 4), (Arch.ARMV7, bytes.fromhex("f000f0e7"))],
)
def test_code_is_padded_with_traps(system: System, arch: Arch, trap: bytes) -> None:
    code = loop(arch, 100)
    layout, findings = lay_out(system, Segment(BASE, code, R | X), arch=arch)
    data = content(layout, at(layout, BASE))
    assert findings == []
    assert data[:100] == code
    assert data[100:PAGE] == trap * ((PAGE - 100) // 4)
    # on x86 one more page: a block that runs off the end faults where it really is
    assert data[PAGE:] == (b"" if arch is Arch.ARMV7 else b"\xcc" * PAGE)


def test_no_page_of_traps_where_the_next_segment_begins(system: System) -> None:
    layout, findings = lay_out(
        system, Segment(BASE, loop(Arch.X86), R | X), Segment(BASE + PAGE, b"constants", R)
    )
    assert findings == []
    assert layout.regions[at(layout, BASE).region].size == PAGE
    assert at(layout, BASE + PAGE).rights == Right.R


def test_code_that_begins_within_a_page(system: System) -> None:
    program = Elf(Arch.X86, [Segment(BASE + 0x123, loop(Arch.X86), R | X)], entry=BASE + 0x123)
    read = elf.read(bytes(program), Arch.X86, "guest.elf")
    programs = {each.name: read for each in system.partitions}
    layout, _ = plan(system, programs, {each.name: INFO for each in system.partitions})
    data = content(layout, at(layout, BASE))
    assert data[:0x123] == b"\xcc" * 0x123
    assert data[0x123 : 0x123 + 64] == loop(Arch.X86)


def test_data_is_followed_by_zeros(system: System) -> None:
    layout, _ = lay_out(
        system,
        Segment(BASE, loop(Arch.X86), R | X),
        Segment(BASE + 0x2010, b"data", R | W, memory=0x3000),
    )
    each = at(layout, BASE + 0x2000)
    assert each.rights == Right.R | Right.W
    assert layout.regions[each.region].size == 0x4000
    assert content(layout, each) == bytes(0x10) + b"data" + bytes(0x4000 - 0x14)


def test_heap_stack_and_start_information(system: System) -> None:
    layout, findings = lay_out(system, Segment(BASE, loop(Arch.X86), R | X))
    left, right = layout.maps
    named = {layout.regions[each.region].name: each for each in (*left, *right)}
    assert findings == []
    heap = named["left/heap"]
    assert heap.address == BASE + 2 * PAGE, "one page is left out between program and heap"
    assert heap.rights == Right.R | Right.W
    assert "right/heap" not in named
    assert named["left/stack"].address == 0x48000000 - 0x4000
    assert named["right/stack"].address == 0x48000000 - 0x1000
    assert content(layout, named["left/start"]).startswith(INFO)
    assert named["left/start"].rights == Right.R
    assert all(each.rights & (Right.W | Right.X) != Right.W | Right.X for each in (*left, *right))


def test_shared_regions_are_one_region(system: System) -> None:
    layout, _ = lay_out(system, Segment(BASE, loop(Arch.X86), R | X))
    mapped = [[each for each in maps if each.region == 0] for maps in layout.maps]
    assert [len(each) for each in mapped] == [1, 1]
    assert mapped[0][0].address == mapped[1][0].address == system.regions[0].address
    assert [each[0].rights for each in mapped] == [Right.R | Right.W, Right.R]
    assert layout.regions[0].shared and layout.regions[0].keep


def test_a_region_of_one_partition_is_not_shared(system: System) -> None:
    """Or it would outlive its cold starts."""
    layout, _ = lay_out(system, Segment(BASE, loop(Arch.X86), R | X))
    assert [each.region for each in layout.maps[0] if each.region == 1] == []
    assert [each.region for each in layout.maps[1] if each.region == 1] == [1]
    assert not layout.regions[1].shared and not layout.regions[1].keep
    assert {each.shared for each in layout.regions[1:]} == {False}


def test_nothing_lies_in_the_stack_guard(system: System) -> None:
    layout, _ = lay_out(system, Segment(BASE, loop(Arch.X86), R | X))
    for partition, maps in zip(system.partitions, layout.maps, strict=True):
        top = 0x48000000 - partition.stack
        for each in maps:
            end = each.address + layout.regions[each.region].size
            assert end <= top - 0x10000 or each.address >= top


def test_equal_content_is_stored_once(system: System) -> None:
    layout, _ = lay_out(system, Segment(BASE, loop(Arch.X86), R | X))
    first, second = (
        layout.offsets[n] for n, region in enumerate(layout.regions) if region.name.endswith("code")
    )
    assert first == second
    assert len(layout.memory) == 3 * PAGE, "code and its page of traps, start information"


def test_executable_ranges_are_joined(system: System) -> None:
    layout, _ = lay_out(
        system,
        Segment(BASE, loop(Arch.X86), R | X),
        Segment(BASE + PAGE, loop(Arch.X86), R | X),
        Segment(BASE + 8 * PAGE, loop(Arch.X86), R | X),
    )
    assert [(address, len(data)) for address, data in layout.code(0)] == [
        (BASE, 3 * PAGE),
        (BASE + 8 * PAGE, 2 * PAGE),
    ]


def test_program_and_heap_reach_the_stack(system: System) -> None:
    _, findings = lay_out(
        system,
        Segment(BASE, loop(Arch.X86), R | X),
        Segment(BASE + PAGE, b"", R | W, memory=0x7FE0000),
    )
    (finding,) = [each for each in findings if each.rule == "MEM-010"]
    assert finding.file.endswith("system.toml") and finding.line > 1
    assert finding.message == (
        "program and heap end at 0x47ff2000, past the stack's guard at 0x47fec000"
    )


def test_board_with_too_little_memory(system: System) -> None:
    board = dataclasses.replace(system.board, memory_size=64 << 10)
    small = dataclasses.replace(system, board=board)
    _, findings = lay_out(small, Segment(BASE, loop(Arch.X86), R | X))
    assert [each.rule for each in findings] == ["MEM-011"]
    assert "KiB, and the board pc has 64 KiB" in findings[0].message


def test_overlapping_regions(system: System) -> None:
    frames, scratch = system.regions
    moved = dataclasses.replace(scratch, address=frames.address + PAGE)
    _, findings = lay_out(
        dataclasses.replace(system, regions=(frames, moved)),
        Segment(BASE, loop(Arch.X86), R | X),
    )
    assert [each.rule for each in findings] == ["MEM-012"]
    assert findings[0].message == "frames at 0x50000000 and scratch at 0x50001000 overlap"


def test_heap_address_is_page_aligned() -> None:
    program = elf.read(bytes(Elf(Arch.X64)), Arch.X64, "guest.elf")
    assert heap_address(program) == 0x40004000
