"""Page tables as the CPU reads them, walked in a board's memory: what user mode can reach.

Written from the architecture manuals alone, so that it knows nothing of how the firmware makes its
tables (ARM Architecture Reference Manual ARMv7-A, B3.5 short descriptors; Intel SDM volume 3, 4.4
PAE and 4.5 4-level paging).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from khs.config.model import Arch
from khs.engine.qemu.memory import Memory

PAGE = 4096
_SECTION, _LARGE, _SUPER = 1 << 20, 64 << 10, 16 << 20
_ADDRESS = 0x000F_FFFF_FFFF_F000


@dataclass(frozen=True, slots=True)
class Reach:
    """`size` bytes from `address` on that user mode may read, at `physical`; `rights` as "rw"."""

    address: int
    physical: int
    size: int
    rights: str


@dataclass(frozen=True)
class Walk:
    """Everything below one root. `tables`: addresses and sizes of the tables themselves."""

    reaches: tuple[Reach, ...]
    tables: tuple[tuple[int, int], ...]


def walk(memory: Memory, arch: Arch, root: int) -> Walk:
    """What user mode reaches with these tables; IndexError if they leave the memory."""
    tables: list[tuple[int, int]] = []
    steps = {Arch.ARMV7: _short, Arch.X86: _pae, Arch.X64: _long}[arch]
    reaches = tuple(steps(memory, root, tables))
    return Walk(reaches, tuple(tables))


# ---- ARMv7, short descriptors ---------------------------------------------------------------


def _words(
    memory: Memory, address: int, count: int, tables: list[tuple[int, int]]
) -> tuple[int, ...]:
    tables.append((address, 4 * count))
    return struct.unpack(f"<{count}I", memory.read(address, 4 * count))


def _arm_rights(access: int, never: int) -> str:
    """`access`: AP[2:0]; with AP[1] clear user mode has none."""
    if not access & 2:
        return ""
    return "r" + ("w" if access == 3 else "") + ("" if never else "x")


def _short(memory: Memory, root: int, tables: list[tuple[int, int]]) -> Iterator[Reach]:
    for index, entry in enumerate(_words(memory, root, 4096, tables)):
        address = index * _SECTION
        if entry & 3 == 1:
            yield from _second(memory, address, entry & ~0x3FF, tables)
        elif entry & 2:
            size = _SUPER if entry & 1 << 18 else _SECTION
            rights = _arm_rights(entry >> 10 & 3 | entry >> 13 & 4, entry & 1 << 4)
            if rights:
                yield Reach(address, (entry & -size) + address % size, _SECTION, rights)


def _second(
    memory: Memory, base: int, table: int, tables: list[tuple[int, int]]
) -> Iterator[Reach]:
    for index, entry in enumerate(_words(memory, table, 256, tables)):
        if not entry & 3:
            continue
        small, address = bool(entry & 2), base + index * PAGE
        size, never = (PAGE, entry & 1) if small else (_LARGE, entry & 1 << 15)
        rights = _arm_rights(entry >> 4 & 3 | entry >> 7 & 4, never)
        if rights:
            yield Reach(address, (entry & -size) + address % size, PAGE, rights)


# ---- x86 ------------------------------------------------------------------------------------


def _entries(
    memory: Memory, address: int, count: int, tables: list[tuple[int, int]]
) -> tuple[int, ...]:
    tables.append((address, 8 * count))
    return struct.unpack(f"<{count}Q", memory.read(address, 8 * count))


def _pae(memory: Memory, root: int, tables: list[tuple[int, int]]) -> Iterator[Reach]:
    """The four entries of the top carry no rights."""
    for index, entry in enumerate(_entries(memory, root & ~31, 4, tables)):
        if entry & 1:
            yield from _level(memory, 2, index << 30, entry & _ADDRESS, "rwx", tables)


def _long(memory: Memory, root: int, tables: list[tuple[int, int]]) -> Iterator[Reach]:
    yield from _level(memory, 4, 0, root & _ADDRESS, "rwx", tables)


def _level(
    memory: Memory, level: int, base: int, table: int, above: str, tables: list[tuple[int, int]]
) -> Iterator[Reach]:
    """`above`: what the levels before let user mode do."""
    size = PAGE << 9 * (level - 1)
    for index, entry in enumerate(_entries(memory, table, 512, tables)):
        if not entry & 1 or not entry & 4:
            continue  # absent, or the kernel's alone
        own = "r" + ("w" if entry & 2 else "") + ("" if entry >> 63 else "x")
        rights = "".join(right for right in own if right in above)
        address = _canonical(base + index * size)
        if level == 1 or entry & 1 << 7:
            yield Reach(address, entry & _ADDRESS & -size, size, rights)
        else:
            yield from _level(memory, level - 1, address, entry & _ADDRESS, rights, tables)


def _canonical(address: int) -> int:
    """Bits 63 to 48 repeat bit 47."""
    return address | 0xFFFF << 48 if address >> 47 & 1 else address
