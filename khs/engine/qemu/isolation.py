"""A look from outside at what partitions can reach on a board: their page tables and config.bin.

The tables are read in the board's memory and walked as the CPU walks them (`tables`); what should
be there is read from config.bin. The firmware only tells where each partition's tables begin.
"""

from __future__ import annotations

import ctypes
import io
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from elftools.elf.elffile import ELFFile

from khs.config.model import Arch
from khs.engine.qemu.memory import Memory
from khs.engine.qemu.tables import PAGE, Walk, walk
from khs.image import records

_RIGHTS = ((1, "r"), (2, "w"), (4, "x"))


#: Page address to (region, page of the region, rights as "rw").
Pages = dict[int, tuple[int, int, str]]
_Record = TypeVar("_Record", bound=ctypes.LittleEndianStructure)


def expected(config: bytes) -> list[Pages]:
    """What each partition should reach."""

    def rows(table: records.Table, kind: type[_Record]) -> list[_Record]:
        return list((kind * table.count).from_buffer_copy(config, table.offset))

    head = records.Config.from_buffer_copy(config)
    regions, maps = rows(head.regions, records.Region), rows(head.maps, records.Map)
    granted = []
    for partition in rows(head.partitions, records.Partition):
        pages: Pages = {}
        first, count = partition.maps.first, partition.maps.count
        for item in maps[first : first + count]:
            rights = "".join(letter for bit, letter in _RIGHTS if item.rights & bit)
            for page in range(regions[item.region].size // PAGE):
                pages[item.address + page * PAGE] = (item.region, page, rights)
        granted.append(pages)
    return granted


def segments(firmware: bytes) -> list[tuple[int, int]]:
    """Address and size of what an ELF loads."""
    elf = ELFFile(io.BytesIO(firmware))
    loaded = [each for each in elf.iter_segments() if each["p_type"] == "PT_LOAD"]
    return [(each["p_paddr"], each["p_memsz"]) for each in loaded]


def roots(memory: Memory, log: int, partitions: int) -> tuple[int, ...]:
    """Where each partition's tables begin, as the firmware shows behind its log's counters."""
    (where,) = struct.unpack("<I", memory.read(log + 8, 4))
    return struct.unpack(f"<{partitions}Q", memory.read(where, 8 * partitions))


def violations(
    memory: Memory,
    arch: Arch,
    config: bytes,
    roots: Sequence[int],
    names: Sequence[str],
    kernel: Iterable[tuple[int, int]],
    devices: Iterable[Mapping[str, Any]] = (),
) -> Iterator[str]:
    """One line for each thing that a partition reaches and should not, or the other way round.

    `kernel`: address and size of what is the kernel's alone, page tables aside. `devices` as the
    archive's manifest describes them. IndexError if the
    tables lead out of the memory.
    """
    walks = [walk(memory, arch, root) for root in roots]
    private = _pages([*kernel, *(table for each in walks for table in each.tables)])
    inhabitants: dict[int, tuple[int, int]] = {}  # physical page -> page of a region
    homes: dict[tuple[int, int], int] = {}  # and back
    wanted = expected(config)
    for number, device in enumerate(devices):
        for page, (address, physical) in enumerate(_registers(device)):
            place = (-1 - number, page)  # no region's
            wanted[device["partition"]][address] = (*place, "rw")
            inhabitants[physical], homes[place] = place, physical
    for name, found, granted in zip(names, walks, wanted, strict=True):
        reached = set()
        for address, physical, rights in _by_page(found):
            reached.add(address)
            told = f"partition {name} reaches {address:#x} ({rights})"
            if address not in granted:
                yield f"{told}, which is in none of its regions"
                continue
            region, page, allowed = granted[address]
            if rights != allowed:
                yield f"{told}, where it has {allowed}"
            if physical in private:
                yield f"{told} in the kernel's memory, at {physical:#x}"
            if inhabitants.setdefault(physical, (region, page)) != (region, page):
                yield f"{told} in another region's memory, at {physical:#x}"
            if homes.setdefault((region, page), physical) != physical:
                yield f"{told} in other memory than who shares the region, at {physical:#x}"
        if granted.keys() - reached:
            first = min(granted.keys() - reached)
            yield f"partition {name} does not reach {first:#x}, which is its own"


def _registers(device: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """The pages of a device's registers: address and physical address."""
    if device["bus"] == "memory":
        offset = device["address"] % PAGE
        for at in range(-offset, device["size"], PAGE):
            yield device["address"] + at, device["physical"] + at


def _by_page(found: Walk) -> Iterator[tuple[int, int, str]]:
    for reach in found.reaches:
        for offset in range(0, reach.size, PAGE):
            yield reach.address + offset, reach.physical + offset, reach.rights


def _pages(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {
        page for address, size in spans for page in range(address & -PAGE, address + size, PAGE)
    }
