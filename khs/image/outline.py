"""The outline of a system that its traces carry: `khs.trace.outline` reads it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, TypeVar

from khs.image import records
from khs.image.records import NONE, Slice, Table

R = TypeVar("R", bound=ctypes.LittleEndianStructure)

_KINDS = ("sampling", "queuing", "call")


def outline(config: bytes) -> dict[str, Any]:
    """Schedules, channels, ports, inputs and costs of a config.bin that `khs build` wrote, by
    number; times in ticks. Empty for a damaged one: the kernel says what is wrong with it."""
    try:
        return _outline(config)
    except (ValueError, IndexError):
        return {}


def _outline(config: bytes) -> dict[str, Any]:
    header = records.Config.from_buffer_copy(config)
    windows = table(config, header.windows, records.Window)
    channels = table(config, header.channels, records.Channel)
    readers = table(config, header.readers, records.Reader)
    ports = table(config, header.ports, records.Port)
    return {
        "schedules": [
            {
                "major_frame": each.major_frame,
                "windows": [[w.start, w.length, w.partition] for w in _part(windows, each.windows)],
            }
            for each in table(config, header.schedules, records.Schedule)
        ],
        "channels": [
            {
                "kind": _KINDS[each.kind],
                "source": each.source,
                "readers": [reader.partition for reader in _part(readers, each.readers)],
                "depth": each.depth,
            }
            for each in channels
        ],
        "ports": [
            [[port.channel, _reader(port, channels)] for port in _part(ports, each.ports)]
            for each in table(config, header.partitions, records.Partition)
        ],
        "inputs": [
            {"partition": each.partition, "depth": each.depth}
            for each in table(config, header.inputs, records.Input)
        ],
        "costs": {
            "call": header.cost_call,
            "copy": header.cost_copy,
            "verdict": header.cost_verdict,
        },
    }


def _reader(port: records.Port, channels: Sequence[records.Channel]) -> int | None:
    """Which reader of its channel the port is, None for the source."""
    if port.reader == NONE:
        return None
    return int(port.reader - channels[port.channel].readers.first)


def table(config: bytes, place: Table, record: type[R]) -> list[R]:
    """The rows of a table of config.bin."""
    size = ctypes.sizeof(record)
    return [record.from_buffer_copy(config, place.offset + n * size) for n in range(place.count)]


def _part(rows: Sequence[R], part: Slice) -> Sequence[R]:
    return rows[part.first : part.first + part.count]
