"""The board's event channel: packets {u32 kind, u32 size, bytes} through its log
(boards/firmware/common/channel.h)."""

from __future__ import annotations

import asyncio
import ctypes
import struct
from collections.abc import AsyncIterator, Iterator
from ctypes import Structure, c_uint32, c_uint64
from dataclasses import dataclass
from enum import IntEnum

from khs.engine.native import check_boot
from khs.engine.qemu.memory import Log
from khs.engine.structures import View
from khs.errors import EngineError

_HEADER = struct.Struct("<II")
#: No packet of ours is larger: an event ring, or a report about 4096 partitions.
LARGEST = 16 << 20
_BELLS = 4096  # that are heard at once


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
        ("clock", c_uint64),
        ("trap_ticks", c_uint64),
        ("schedule", c_uint32),
        ("partitions", c_uint32),
    )


@dataclass(frozen=True)
class Report:
    """How far the board is: completed major frames, the tick, each partition; what its clock has
    counted, and the ticks that a trap of a partition and the way back take alone."""

    tick: int
    frames: int
    views: tuple[View, ...]
    clock: int = 0
    trap_ticks: float = 0.0


async def packets(
    bell: asyncio.StreamReader, log: Log, patience: float | None
) -> AsyncIterator[tuple[Kind, bytes]]:
    """Whole packets until the board is gone. `bell`: the line on which it says that there is more.

    Raises EngineError for what is no packet, and if the board says nothing for `patience` seconds.
    """
    waiting, open_ = bytearray(), True
    while open_:
        try:
            open_ = bool(await asyncio.wait_for(bell.read(_BELLS), patience))
        except TimeoutError as error:
            raise EngineError(f"the board has been silent for {patience:g} s") from error
        waiting += log.take()
        for packet in _split(waiting):
            yield packet


def _split(waiting: bytearray) -> Iterator[tuple[Kind, bytes]]:
    """Takes whole packets from the beginning."""
    while len(waiting) >= _HEADER.size:
        kind, size = _HEADER.unpack_from(waiting)
        if kind not in iter(Kind) or size > LARGEST:
            head = waiting[: _HEADER.size].hex()
            raise EngineError(f"the board's event channel carries nonsense: {head}")
        end = _HEADER.size + size
        if len(waiting) < end:
            return
        data = bytes(waiting[_HEADER.size : end])
        del waiting[:end]
        yield Kind(kind), data


def report(data: bytes, partitions: int) -> Report:
    """A STATUS or END packet; EngineError if it is none, or the system did not boot."""
    size = ctypes.sizeof(_Status)
    if len(data) != size + partitions * ctypes.sizeof(View):
        raise EngineError("the board's report does not fit the system")
    status = _Status.from_buffer_copy(data)
    check_boot(status.boot_status)
    views = (View * partitions).from_buffer_copy(data, size)
    return Report(status.tick, status.frames, tuple(views), status.clock, status.trap_ticks / 2**32)
