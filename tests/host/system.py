"""Systems made by hand: config.bin and memory.bin for partitions that are a blob of code.

Every partition has its code at CODE (r-x), memory at RAM (rw-), and an empty start info at INFO.
The policy grants everything that needs no message type.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache

from kss.api import load_class
from kss.compiler import class_hash, compile_policy
from kss.errors import Location
from kss.events import Kind
from kss.layout import EntityClass
from kss.tree import Binding, Condition, PolicyObject, PolicyTree, Rule, Site

CODE, RAM, INFO, SHARED = 0x40000000, 0x40100000, 0x4F000000, 0x50000000
PAGE = 4096
NONE = 0xFFFFFFFF
R, W, X = 1, 2, 4
SHARED_FLAG, KEEP_FLAG = 1, 2
IGNORE, LOG, WARM, COLD, IDLE, STOP = range(6)


class Arch(IntEnum):
    ARMV7 = 1
    X86 = 2
    X64 = 3


@dataclass(frozen=True)
class Region:
    """A further region of a partition; the same `name` is the same memory."""

    name: str
    address: int
    rights: int
    size: int = PAGE
    data: bytes = b""
    flags: int = 0


@dataclass(frozen=True)
class Partition:
    code: bytes
    ram: int = 0x10000
    data: bytes = b""  # what RAM begins with
    entry: int = CODE
    regions: tuple[Region, ...] = ()
    action: int = IDLE  # of the health monitor, for everything
    inputs: tuple[tuple[int, int], ...] = ()  # capacity, depth
    period: int = 0


@dataclass(frozen=True)
class System:
    arch: Arch
    partitions: Sequence[Partition]
    #: (partition, ticks): the windows of a major frame, one after the other.
    windows: Sequence[tuple[int, int]] = ()
    costs: tuple[int, int, int] = (0, 0, 0)
    clock_hz: int = 125_000_000
    major_frame: int = 0
    names: tuple[str, ...] = ()

    def with_windows(self, *windows: tuple[int, int]) -> System:
        return replace(self, windows=windows)


@dataclass
class _Memory:
    """Regions and their initial content, each name once."""

    regions: list[bytes] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    numbers: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, size: int, data: bytes, flags: int) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.regions)
            self.regions.append(struct.pack("<QQQII", size, len(self.content), len(data), flags, 0))
            self.content += data
        return self.numbers[name]


def _pages(size: int) -> int:
    return max(-(-size // PAGE), 1) * PAGE


def _regions(partition: Partition, number: int) -> Iterable[Region]:
    yield Region(f"{number}.code", CODE, R | X, _pages(len(partition.code)), partition.code)
    yield Region(f"{number}.ram", RAM, R | W, _pages(partition.ram), partition.data)
    yield Region(f"{number}.info", INFO, R)
    yield from partition.regions


def build(system: System) -> tuple[bytes, bytes]:
    """config.bin and memory.bin."""
    memory = _Memory()
    partitions: list[bytes] = []
    maps: list[bytes] = []
    inputs: list[bytes] = []
    for number, partition in enumerate(system.partitions):
        first, first_input = len(maps), len(inputs)
        for region in sorted(_regions(partition, number), key=lambda region: region.address):
            index = memory.add(region.name, region.size, region.data, region.flags)
            maps.append(struct.pack("<QII", region.address, index, region.rights))
        inputs += [struct.pack("<IIII", number, *item, 0) for item in partition.inputs]
        top = RAM + _pages(partition.ram)
        partitions.append(
            struct.pack(
                "<10Q4I6I",
                class_hash("test.Guest"), partition.entry, top, INFO,
                0x3FFF0000, 0x10000, partition.period, 0, 0, 0,
                0, IDLE, 0x1F, 0,
                first, len(maps) - first, 0, 0, first_input, len(inputs) - first_input,
            )
        )  # fmt: skip
    windows, at = [], 0
    for number, length in system.windows or [(i, 10_000) for i in range(len(partitions))]:
        windows.append(struct.pack("<QQII", at, length, number, 0))
        at += length
    schedule = struct.pack("<QII", system.major_frame or at, 0, len(windows))
    health = [
        (struct.pack("<HH", 1, p.action) * 9 + struct.pack("<HH", 1, LOG)) * 2
        for p in system.partitions
    ]
    tables = [partitions, [schedule], windows, memory.regions, maps, [], [], [], inputs]
    return _config(system, [*tables, health], len(partitions) * 20), bytes(memory.content)


def _config(system: System, tables: Sequence[Sequence[bytes]], health: int) -> bytes:
    body, entries, at = b"", b"", 152
    for number, records in enumerate(tables):
        count = health if number == len(tables) - 1 else len(records)
        data = b"".join(records)
        data += bytes(-len(data) % 8)
        entries += struct.pack("<II", at, count)
        body += data
        at += len(data)
    head = struct.pack(
        "<IIQQIIQQ6I",
        0x4346534B, 3, at, system.clock_hz, system.arch, 1,
        class_hash("kl.core.Core"), class_hash("Einit"),
        *system.costs, 1024, 4096, 65536,
    )  # fmt: skip
    return head + entries + body


@cache
def policy(*, start: bool = True) -> bytes:
    """Grants every event; without `start` the guests may not start."""
    here = Location("test.psl", 1, 1)
    kernel = load_class("kl.core.Core", ())
    assert kernel is not None
    others = (EntityClass(name, 0, (), ()) for name in ("Einit", "test.Guest"))
    classes = tuple(replace(each, index=n) for n, each in enumerate((kernel, *others)))
    grant = Rule(0, 0, "grant", ())
    condition = Condition() if start else Condition(dst=1)
    bindings = tuple(Binding(kind, condition, (grant,), here, "all") for kind in Kind)
    base = PolicyObject("base", 0, "Base", {}, None, "Base", here)
    site = Site(0, here, "base", "grant", "grant ()")
    return compile_policy(PolicyTree(classes, (base,), bindings, (site,)))
