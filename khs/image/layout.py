"""Where everything of a system lies: regions, the maps of each partition, and memory.bin.

Address plan, the same on every architecture:

    0x40000000  the program's segments, each on its own pages; code ends in trap instructions
    a page on   heap (rw)
    ...         64 KiB that are mapped nowhere: the stack's guard
    ...         stack (rw), up to 0x48000000
    0x4f000000  start information (r)
    0x50000000  named regions, at the same address in every partition
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from khs.config.model import (
    PAGE,
    PROGRAM_BASE,
    STACK_GUARD,
    STACK_TOP,
    START_INFO,
    Arch,
    Partition,
    Right,
    System,
)
from khs.errors import Finding
from khs.image.elf import Program

#: What code is padded with: int3, or ARM's permanently undefined instruction.
_TRAP = {Arch.ARMV7: bytes.fromhex("f000f0e7"), Arch.X86: b"\xcc", Arch.X64: b"\xcc"}


@dataclass(frozen=True, slots=True)
class Memory:
    """A region: `data`, which ends in no zero, then zeros up to `size`. A partition's own parts are
    called `partition/part`. `shared`: several partitions map it, so that no restart of one of them
    resets it; all others start afresh with their partition, but for a warm start if `keep`."""

    name: str
    size: int
    data: bytes = b""
    shared: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """A region in the address space of a partition."""

    address: int
    region: int  # index into Layout.regions
    rights: Right


@dataclass(frozen=True, slots=True)
class Layout:
    """`maps` are by partition number, ascending by address; `offsets[i]` is where the data of
    `regions[i]` lies in `memory`."""

    regions: tuple[Memory, ...]
    maps: tuple[tuple[Map, ...], ...]
    memory: bytes
    offsets: tuple[int, ...]

    @property
    def total(self) -> int:
        """Bytes of memory that all partitions together occupy."""
        return sum(region.size for region in self.regions)

    def code(self, partition: int) -> list[tuple[int, bytes]]:
        """The executable ranges of a partition: address and content, neighbours joined."""
        ranges: list[tuple[int, bytes]] = []
        for part in self.maps[partition]:
            if Right.X not in part.rights:
                continue
            region = self.regions[part.region]
            data = region.data.ljust(region.size, b"\0")
            if ranges and ranges[-1][0] + len(ranges[-1][1]) == part.address:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + data)
            else:
                ranges.append((part.address, data))
        return ranges


@dataclass(frozen=True, slots=True)
class _Part:
    address: int
    rights: Right
    memory: Memory

    @property
    def end(self) -> int:
        return self.address + self.memory.size


def pages(size: int) -> int:
    """`size` rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def heap_address(program: Program) -> int:
    """The heap follows the program after one page that is mapped nowhere."""
    return program.segments[-1].pages[1] + PAGE


def plan(
    system: System, programs: Mapping[str, Program], start_info: Mapping[str, bytes]
) -> tuple[Layout, list[Finding]]:
    """Lays out the system; programs and start information are given by partition."""
    regions = [
        Memory(region.name, region.size, shared=len(region.rights) > 1, keep=region.keep)
        for region in system.regions
    ]
    maps: list[tuple[Map, ...]] = []
    findings: list[Finding] = []
    for partition in system.partitions:
        private = _private(partition, programs[partition.name], start_info[partition.name])
        found = []
        for part in private:
            found.append(Map(part.address, len(regions), part.rights))
            regions.append(part.memory)
        found += [
            Map(region.address, region.number, region.rights[partition.name])
            for region in system.regions
            if partition.name in region.rights
        ]
        maps.append(tuple(sorted(found, key=lambda each: each.address)))
        findings += _overlaps(system, partition, maps[-1], regions)
    memory, offsets = _pack(regions)
    layout = Layout(tuple(regions), tuple(maps), memory, offsets)
    return layout, findings + _fits(system, layout)


# ---- one partition ---------------------------------------------------------


def _private(partition: Partition, program: Program, start_info: bytes) -> list[_Part]:
    name, rw = partition.name, Right.R | Right.W
    parts = _segments(name, program)
    if partition.heap:
        parts.append(_Part(heap_address(program), rw, Memory(f"{name}/heap", partition.heap)))
    stack = Memory(f"{name}/stack", partition.stack)
    parts.append(_Part(STACK_TOP - partition.stack, rw, stack))
    info = Memory(f"{name}/start", pages(len(start_info)), start_info.rstrip(b"\0"))
    parts.append(_Part(START_INFO, Right.R, info))
    return parts


def _segments(name: str, program: Program) -> list[_Part]:
    """The program's segments as whole pages."""
    parts = []
    starts = [segment.pages[0] for segment in program.segments] + [0]
    for segment, following in zip(program.segments, starts[1:], strict=True):
        first, end = segment.pages
        title = {Right.X: "code", Right.W: "data"}.get(
            segment.rights & (Right.X | Right.W), "constants"
        )
        if Right.X in segment.rights:
            # On x86 a block that runs into an unmapped page faults at its first instruction, so
            # code that ends on a page's end is followed by a page of traps if there is room.
            if program.arch is not Arch.ARMV7 and following != end:
                end += PAGE
            data = _padded_code(program.arch, first, end, segment.address, segment.data)
        else:
            data = bytes(segment.address - first) + segment.data
        memory = Memory(f"{name}/{title}", end - first, data.rstrip(b"\0"))
        parts.append(_Part(first, segment.rights, memory))
    return parts


def _padded_code(arch: Arch, first: int, end: int, address: int, data: bytes) -> bytes:
    """Code with traps around it, from page `first` to `end`; traps lie on multiples of their
    own size."""
    content = bytearray(_TRAP[arch] * ((end - first) // len(_TRAP[arch])))
    content[address - first : address - first + len(data)] = data
    return bytes(content)


# ---- checks ----------------------------------------------------------------


def _overlaps(
    system: System, partition: Partition, maps: Sequence[Map], regions: Sequence[Memory]
) -> list[Finding]:
    path = ("partition", partition.name)
    findings = []
    stack = STACK_TOP - partition.stack
    below = [m for m in maps if m.address < STACK_TOP and m.address != stack]
    guard = stack - STACK_GUARD
    program_end = max((m.address + regions[m.region].size for m in below), default=0)
    if program_end > guard:
        findings.append(
            system.finding(
                "MEM-010",
                (*path, "heap"),
                f"program and heap end at {program_end:#x}, past the stack's guard at {guard:#x}",
                f"program, heap, stack and guard share {STACK_TOP - PROGRAM_BASE >> 20} MiB: "
                "make heap or stack smaller",
            )
        )
    elif clash := next(
        ((a, b) for a, b in pairwise(maps) if a.address + regions[a.region].size > b.address), None
    ):
        low, high = (f"{regions[each.region].name} at {each.address:#x}" for each in clash)
        findings.append(
            system.finding("MEM-012", path, f"{low} and {high} overlap", "make one smaller")
        )
    return findings


def _fits(system: System, layout: Layout) -> list[Finding]:
    if layout.total <= system.board.memory_size:
        return []
    message = (
        f"the partitions need {layout.total >> 10} KiB, and the board {system.board.name} has "
        f"{system.board.memory_size >> 10} KiB"
    )
    return [
        system.finding("MEM-011", ("system", "board"), message, "make heaps or regions smaller")
    ]


def _pack(regions: Sequence[Memory]) -> tuple[bytes, tuple[int, ...]]:
    """memory.bin: the data of all regions, each at a multiple of a page; equal data once."""
    content = bytearray()
    known: dict[bytes, int] = {}
    offsets = []
    for region in regions:
        if region.data and region.data not in known:
            known[region.data] = len(content)
            content += region.data + bytes(-len(region.data) % PAGE)
        offsets.append(known.get(region.data, 0))
    return bytes(content), tuple(offsets)
