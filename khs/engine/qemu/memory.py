"""An emulated board's memory, shared with QEMU: what the firmware left there can be read at any
time, and its log comes out of it."""

from __future__ import annotations

import mmap
import os
import struct
from types import TracebackType
from typing import Self

from khs.errors import EngineError

_COUNTERS = struct.Struct("<II")
#: channel_log of boards/firmware/common/channel.h: `written`, `taken`, then the ring.
LOG_HEAD = 64


class Memory:
    """`size` bytes at physical address `base`, in no file that has a name. Its descriptor is for
    QEMU to inherit. EngineError if the machine has no room for it."""

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        try:
            self.descriptor = os.memfd_create("khs-board")
            os.ftruncate(self.descriptor, size)
            self._bytes = mmap.mmap(self.descriptor, size)
        except (OSError, ValueError) as error:
            raise EngineError(f"no room for the board's memory, {size} bytes: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bytes.close()
        os.close(self.descriptor)

    @property
    def path(self) -> str:
        """As QEMU opens it."""
        return f"/proc/self/fd/{self.descriptor}"

    def read(self, address: int, size: int) -> bytes:
        """What is at a physical address; IndexError where there is no memory."""
        return self._bytes[self._at(address, size) : self._at(address, size) + size]

    def write(self, address: int, data: bytes) -> None:
        """Changes memory; a board that runs may not notice."""
        at = self._at(address, len(data))
        self._bytes[at : at + len(data)] = data

    def _at(self, address: int, size: int) -> int:
        if not self.base <= address <= self.base + self.size - size:
            raise IndexError(f"the board has no {size} bytes of memory at {address:#x}")
        return address - self.base


class Log:
    """The board's log: a ring of `size` bytes behind two counters at `address`."""

    def __init__(self, memory: Memory, address: int, size: int) -> None:
        self.memory, self._address, self._size = memory, address, size

    def take(self) -> bytes:
        """What has come; makes room for more. EngineError if the counters cannot be right."""
        written, taken = _COUNTERS.unpack(self.memory.read(self._address, _COUNTERS.size))
        count = (written - taken) % 2**32
        if count > self._size:
            raise EngineError(f"the board's log is broken: {written} written, {taken} taken")
        at = taken % self._size
        ring = self._address + LOG_HEAD
        first = self.memory.read(ring + at, min(count, self._size - at))
        data = first + self.memory.read(ring, count - len(first))
        self.memory.write(self._address + 4, struct.pack("<I", written))
        return data
