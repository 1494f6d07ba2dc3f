"""The start information of a partition: `struct khs_start_info` with its lists (khs/start.h).

The header comes first, then the records of each list, then the texts.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from khs.config.model import Partition, Privilege, Region, Right, System
from khs.image import devices
from khs.image.wiring import Port, Wiring

MAGIC = 0x5453_484B
VERSION = 3
HEADER = struct.Struct("<6I4Q16I")
TEXT = struct.Struct("<I")
PORT = struct.Struct("<6I")
INPUT = struct.Struct("<2I")
REGION = struct.Struct("<2I2Q")
DEVICE = struct.Struct("<5I4xQ")

#: A record: the text it begins with, and the numbers that follow.
_Record = tuple[str, tuple[int, ...]]


def write(system: System, partition: Partition, wiring: Wiring, heap: int) -> bytes:
    """The start information of `partition`, whose heap begins at `heap`."""
    lists = _lists(system, partition, wiring)
    ends = HEADER.size
    places = []
    for layout, records in lists:
        ends = -(-ends // 8) * 8
        places.append(ends)
        ends += layout.size * len(records)
    texts = _Texts(ends)
    body = bytearray(ends)
    for at, (layout, records) in zip(places, lists, strict=True):
        for n, (text, numbers) in enumerate(records):
            layout.pack_into(body, at + n * layout.size, texts.place(text), *numbers)
    name_at = texts.place(partition.name)
    size = ends + len(texts.data)
    heap_at = heap if partition.heap else 0
    times = (system.board.ns(partition.period), system.board.ns(partition.deadline))
    counts = [
        number
        for at, (_, records) in zip(places, lists, strict=True)
        for number in (at, len(records))
    ]
    head = (MAGIC, VERSION, size, partition.number, name_at, 0, heap_at, partition.heap, *times)
    HEADER.pack_into(body, 0, *head, *counts)
    return bytes(body + texts.data)


class _Texts:
    """Texts from offset `start` on, each once, ended by a zero."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.data = bytearray()
        self.known: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Offset of `text` in the start information."""
        if text not in self.known:
            self.known[text] = self.start + len(self.data)
            self.data += text.encode() + b"\0"
        return self.known[text]


def _lists(
    system: System, partition: Partition, wiring: Wiring
) -> Sequence[tuple[struct.Struct, list[_Record]]]:
    """In the order of struct khs_start_info."""
    may = partition.privileges
    others = [each.name for each in system.partitions if Privilege.PARTITION_CONTROL in may]
    inputs = [each for each in system.inputs if each.partition == partition.name]
    schedules = [each.name for each in system.schedules if Privilege.SCHEDULE_SWITCH in may]
    regions = [each for each in system.regions if partition.name in each.rights]
    return (
        (TEXT, [(text, ()) for text in partition.args]),
        (TEXT, [(f"{name}={value}", ()) for name, value in partition.env.items()]),
        (PORT, [_port(port) for port in wiring.ports[partition.number]]),
        (INPUT, [(each.name, (each.capacity,)) for each in inputs]),
        (REGION, [_region(region, region.rights[partition.name]) for region in regions]),
        (TEXT, [(name, ()) for name in others]),
        (TEXT, [(name, ()) for name in schedules]),
        (DEVICE, [_device(window) for window in devices.windows(system, partition)]),
    )


def _region(region: Region, rights: Right) -> _Record:
    return region.name, (int(rights), region.address, region.size)


def _device(window: devices.Window) -> _Record:
    bus = devices.BUSES.index(window.bus)
    irqs = len(window.lines)
    return window.name, (bus, window.irq, irqs, window.size, window.address)


def _port(port: Port) -> _Record:
    channel, link = port.link.channel, port.link
    direction = 0 if port.reader is None else 1
    numbers = (int(channel.kind), direction, link.message_size, channel.depth, port.riid)
    return channel.name, numbers
