"""What the page's timeline draws. The first windows and hypercalls are kept one by one; of all, how
many there were in each of a thousand equal stretches: the page does not grow with the run."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field

from khs.trace.events import Hypercall
from khs.trace.timeline import Slot

#: Windows, hypercalls, and what is marked (denials, faults, health events) that are kept.
WINDOWS, CALLS, MARKS = 10_000, 10_000, 1_000
STRETCHES = 1024
_LONGEST = 300


class Counts:
    """How many things happened to each partition in each stretch of time. Stretches get longer
    as the run does."""

    def __init__(self, partitions: int, width: int) -> None:
        self.width = max(width, 1)
        self.rows = [[0] * STRETCHES for _ in range(partitions)]

    def add(self, partition: int, tick: int) -> None:
        """One more."""
        self.reach(tick)
        self.rows[partition][tick // self.width] += 1

    def reach(self, tick: int) -> None:
        """Makes stretches as long as it takes to have this tick in one."""
        while tick // self.width >= STRETCHES:
            self.width *= 2
            for row in self.rows:
                row[:] = [sum(row[at : at + 2]) for at in range(0, STRETCHES, 2)]
                row += [0] * (STRETCHES // 2)


@dataclass
class Drawn:
    """`calls`: partition, entry, return, number, code (None: it waits), whether it was denied;
    `marks`: tick, partition, kind, words. Ticks. `cut` is where the first window or hypercall was
    left out, `left_out` how many were."""

    calls_of: Counts
    denied_of: Counts
    windows: list[tuple[int, int, int]] = field(default_factory=list)
    calls: list[tuple[int, int, int, int, int | None, bool]] = field(default_factory=list)
    marks: list[tuple[int, int | None, str, str]] = field(default_factory=list)
    more_marks: int = 0
    left_out: int = 0
    cut: int | None = None
    end: int = 0

    @classmethod
    def for_partitions(cls, count: int, clock_hz: int) -> Drawn:
        """An empty one; stretches begin with a tenth of a millisecond."""
        width = clock_hz // 10_000
        return cls(Counts(count, width), Counts(count, width))

    def window(self, slot: Slot) -> None:
        """A window, or major frames."""
        if slot.partition is None:
            return
        self.end = max(self.end, slot.end)
        if self._room(self.windows, WINDOWS, slot.start) and self._known(slot.partition):
            self.windows.append((slot.partition, slot.start, slot.end))

    def call(self, event: Hypercall, end: int, denied: bool) -> None:
        """A hypercall."""
        partition = event.partition
        if partition is None or not self._known(partition):
            return
        self.calls_of.add(partition, event.tick)
        if denied:
            self.denied_of.add(partition, event.tick)
        if self._room(self.calls, CALLS, event.tick):
            self.calls.append((partition, event.tick, end, event.number, event.code, denied))

    def mark(self, tick: int, partition: int | None, kind: str, words: str) -> None:
        """Something people look for."""
        if len(self.marks) == MARKS:
            self.more_marks += 1
        else:
            self.marks.append((tick, partition, kind, words[:_LONGEST]))

    def _known(self, partition: int) -> bool:
        return partition < len(self.calls_of.rows)

    def _room(self, rows: Sized, most: int, tick: int) -> bool:
        """Whether one more is kept; from the first that is not, none is."""
        if self.cut is None and len(rows) < most:
            return True
        self.cut = tick if self.cut is None else self.cut
        self.left_out += 1
        return False
