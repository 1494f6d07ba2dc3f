"""What the page's timeline draws. The first windows and hypercalls are kept one by one; of all, how
many there were in each of a thousand equal stretches: the page does not grow with the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from khs.trace.events import Hypercall
from khs.trace.timeline import Slot

#: Windows and hypercalls that are kept, and marks (denials, faults, health events) of a partition
#: and of all: what one makes up hides nothing of another.
WINDOWS, CALLS, MARKS_OF_ONE, MARKS = 10_000, 10_000, 200, 2_000
STRETCHES = 1024
_LONGEST = 300


class Room:
    """Takes so many of each, and so many of all; the others it counts."""

    def __init__(self, each: int, whole: int) -> None:
        self._each, self._whole = each, whole
        self._taken: Counter[int | None] = Counter()
        self.left_out = 0

    def take(self, whose: int | None) -> bool:
        """Whether there is room for one more of that partition."""
        if self._taken[whose] >= self._each or self._taken.total() >= self._whole:
            self.left_out += 1
            return False
        self._taken[whose] += 1
        return True


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
    `marks`: tick, partition, kind, words. Ticks. `windows_end` and `calls_end` are where the first
    one was left out."""

    calls_of: Counts
    denied_of: Counts
    windows: list[tuple[int, int, int]] = field(default_factory=list)
    calls: list[tuple[int, int, int, int, int | None, bool]] = field(default_factory=list)
    marks: list[tuple[int, int | None, str, str]] = field(default_factory=list)
    room: Room = field(default_factory=lambda: Room(MARKS_OF_ONE, MARKS))
    windows_end: int | None = None
    calls_end: int | None = None
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
        if len(self.windows) == WINDOWS:
            self.windows_end = slot.start if self.windows_end is None else self.windows_end
        elif self._known(slot.partition):
            self.windows.append((slot.partition, slot.start, slot.end))

    def call(self, event: Hypercall, end: int, denied: bool) -> None:
        """A hypercall."""
        partition = event.partition
        if partition is None or not self._known(partition):
            return
        self.calls_of.add(partition, event.tick)
        if denied:
            self.denied_of.add(partition, event.tick)
        if len(self.calls) == CALLS:
            self.calls_end = event.tick if self.calls_end is None else self.calls_end
        else:
            self.calls.append((partition, event.tick, end, event.number, event.code, denied))

    def mark(self, tick: int, partition: int | None, kind: str, words: str) -> None:
        """Something people look for."""
        if self.room.take(partition):
            self.marks.append((tick, partition, kind, words[:_LONGEST]))

    def _known(self, partition: int) -> bool:
        return partition < len(self.calls_of.rows)
