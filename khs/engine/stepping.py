"""Binding of libkhs' debugging: a host moved to points that are asked for, and changed there."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from ctypes import byref, c_uint64
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from khs.engine.native import NEVER, NONE, Host
from khs.engine.structures import Goal, Halt, HostEvents, HostNoted, HostWatch, KeptPage
from khs.errors import EngineError

ANY = NONE - 1


class Cause(IntEnum):
    """enum khs_host_cause; CONTINUES: call again."""

    CONTINUES = 0
    REACHED = 1
    STEP = 2
    BREAKPOINT = 3
    WATCHPOINT = 4
    CALL = 5
    HELD = 6
    RETURN = 7
    EVENT = 8
    INTERRUPT = 9
    END = 10


class Move(IntFlag):
    """enum khs_host_move."""

    STOPPING = 0
    PASSING = 1
    HOLDING = 2


class Access(IntFlag):
    """enum khs_host_access."""

    WRITE = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records, and how many there are: of all types, verdicts, policy swaps."""

    records: bytes
    count: int
    granted: int = 0
    denied: int = 0
    swaps: int = 0


class Stepper:
    """Debugs one host; see khs/host/host.h."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._lib = host.library

    def run(self, goal: Goal) -> Halt:
        """A piece of the way to the first stop; drain events afterwards."""
        halt = Halt()
        self._lib.khs_host_debug(self.host.handle, byref(goal), byref(halt))
        return halt

    def drain(self) -> Batch:
        """Unread records; none is fine."""
        events = HostEvents()
        if not self._lib.khs_host_drain(self.host.handle, byref(events)):
            return Batch(b"", 0)
        records = ctypes.string_at(events.records, events.size)
        return Batch(records, events.count, events.granted, events.denied, events.swaps)

    def set_breaks(self, partition: int, addresses: Iterable[int]) -> None:
        wanted = sorted(addresses)
        array = (c_uint64 * max(len(wanted), 1))(*wanted)
        self._set("breaks", partition, array, len(wanted))

    def set_watches(self, partition: int, watches: Sequence[tuple[int, int, Access]]) -> None:
        """Address, size, access."""
        rows = (HostWatch * max(len(watches), 1))(*(HostWatch(*row, 0) for row in watches))
        self._set("watches", partition, rows, len(watches))

    def set_calls(self, partition: int, entries: int, results: int) -> None:
        """Bits of hypercall numbers."""
        self._set("calls", partition, entries, results)

    def set_noted(self, noted: Sequence[tuple[int, int, int]]) -> None:
        """Types, partitions and codes of events."""
        rows = (HostNoted * max(len(noted), 1))(*(HostNoted(*row, 0) for row in noted))
        self._set("noted", rows, len(noted))

    def _set(self, what: str, *arguments: object) -> None:
        if not getattr(self._lib, f"khs_host_set_{what}")(self.host.handle, *arguments):
            raise MemoryError

    # ------------------------------------------------------------ looking and changing

    def register(self, partition: int, number: int) -> int | None:
        """By Unicorn's number; None if the partition never ran."""
        value = ctypes.create_string_buffer(16)
        if not self._lib.khs_host_register(self.host.handle, partition, number, value):
            return None
        return int.from_bytes(value.raw, "little")

    def set_register(self, partition: int, number: int, value: int) -> bool:
        data = value.to_bytes(16, "little")
        return bool(self._lib.khs_host_set_register(self.host.handle, partition, number, data))

    def write(self, partition: int, address: int, data: bytes) -> int:
        """Bytes written, up to the first that no partition may write."""
        return int(self._lib.khs_host_write(self.host.handle, partition, address, data, len(data)))

    def writable(self, partition: int, address: int, size: int) -> int:
        """Bytes that `write` would write."""
        return int(self._lib.khs_host_write(self.host.handle, partition, address, None, size))

    def set_mode(self, partition: int, mode: int) -> bool:
        """Restarts or stops a partition, as the health monitor does; False if it cannot be. Events
        are to be drained before, and come of it."""
        return bool(self._lib.khs_host_set_mode(self.host.handle, partition, mode))

    # ------------------------------------------------------------ snapshots

    def snapshot(self) -> int:
        """Of here: khs_host_snapshot. MemoryError if there is no room."""
        made = self._lib.khs_host_snapshot(self.host.handle)
        if made is None:
            raise MemoryError
        return int(made)

    def restore(self, snapshot: int) -> None:
        """Raises EngineError if an engine cannot be opened again."""
        if not self._lib.khs_host_restore(self.host.handle, snapshot):
            raise EngineError("there is no room for a CPU engine")

    def forget(self, snapshot: int) -> None:
        self._lib.khs_host_forget(self.host.handle, snapshot)

    def kept(self) -> int:
        """Bytes of all snapshots."""
        return int(self._lib.khs_host_kept(self.host.handle))

    def pages(self, snapshot: int) -> Iterator[tuple[int, int, bytes]]:
        """Area, number and content of the pages that are not as at the beginning."""
        page, index = KeptPage(), 0
        while self._lib.khs_host_page(self.host.handle, snapshot, index, byref(page)):
            yield page.area, page.number, ctypes.string_at(page.data, page.size)
            index += 1

    # ------------------------------------------------------------ where it stands

    def last(self, partition: int = ANY) -> int:
        """Tick behind the last instruction executed; 0 if there is none."""
        return int(self._lib.khs_host_last(self.host.handle, partition))

    def queued(self, channel: int, reader: int) -> int:
        """Messages that wait for a reader of a queuing channel."""
        return int(self._lib.khs_host_queued(self.host.handle, channel, reader))

    def window(self) -> tuple[int | None, int, int]:
        """Whose window it is, if any; where it and the major frame end."""
        end, frame_end = c_uint64(), c_uint64()
        number = self._lib.khs_host_window(self.host.handle, byref(end), byref(frame_end))
        return (None if number == NONE else int(number)), end.value, frame_end.value


def goal(
    frames: int = NEVER,
    until: int = NEVER,
    start: tuple[int, bool] = (0, False),
    steps: int = NONE,
    move: Move = Move.STOPPING,
) -> Goal:
    """Where to: khs_host_goal."""
    return Goal(frames, until, start[0], start[1], steps, move, 0)
