"""The board's event channel: packets {u32 kind, u32 size, bytes} on a serial line
(boards/firmware/common/channel.h)."""

from __future__ import annotations

import asyncio
import ctypes
import struct
from collections.abc import AsyncIterator
from ctypes import Structure, c_uint32, c_uint64
from dataclasses import dataclass
from enum import IntEnum

from khs.engine.native import check_boot
from khs.engine.structures import View
from khs.errors import EngineError

_HEADER = struct.Struct("<II")
#: No packet of ours is larger: an event ring, or a report about 4096 partitions.
LARGEST = 16 << 20


class Kind(IntEnum):
    """enum channel_packet."""

    EVENTS = 1
    STATUS = 2
    END = 3


class _Status(Structure):
    """channel_status."""

    _fields_ = (
        ("boot_status", c_uint32),
        ("stopped", c_uint32),
        ("tick", c_uint64),
        ("frames", c_uint64),
        ("schedule", c_uint32),
        ("partitions", c_uint32),
    )


@dataclass(frozen=True)
class Report:
    """How far the board is: completed major frames, the tick, each partition."""

    tick: int
    frames: int
    views: tuple[View, ...]


async def packets(
    stream: asyncio.StreamReader, patience: float
) -> AsyncIterator[tuple[Kind, bytes]]:
    """Whole packets up to the end of the stream.

    Raises EngineError for what is no packet, and if nothing comes for `patience` seconds.
    """
    while True:
        head = await _read(stream, _HEADER.size, patience)
        if len(head) < _HEADER.size:
            return
        kind, size = _HEADER.unpack(head)
        if kind not in iter(Kind) or size > LARGEST:
            raise EngineError(f"the board's event channel carries nonsense: {head.hex()}")
        data = await _read(stream, size, patience)
        if len(data) < size:
            return
        yield Kind(kind), data


async def _read(stream: asyncio.StreamReader, size: int, patience: float) -> bytes:
    """`size` bytes, or what is left before the end."""
    try:
        return await asyncio.wait_for(stream.readexactly(size), patience)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except TimeoutError as error:
        raise EngineError(f"the board has been silent for {patience:g} s") from error


def report(data: bytes, partitions: int) -> Report:
    """A STATUS or END packet; EngineError if it is none, or the system did not boot."""
    size = ctypes.sizeof(_Status)
    if len(data) != size + partitions * ctypes.sizeof(View):
        raise EngineError("the board's report does not fit the system")
    status = _Status.from_buffer_copy(data)
    check_boot(status.boot_status)
    views = (View * partitions).from_buffer_copy(data, size)
    return Report(status.tick, status.frames, tuple(views))
