"""Who had the processor when: a trace has no events for windows, they follow from the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from khs.trace.events import Event, ScheduleSwitch
from khs.trace.outline import Outline, Schedule

#: Major frames without an event that are told one by one; of more, only that they were.
QUIET = 100


@dataclass(frozen=True, slots=True)
class Slot:
    """A window of `partition`, or with None major frames: `frames` of them, from number `frame`.
    Times in ticks."""

    start: int
    end: int
    partition: int | None
    schedule: int
    frame: int
    frames: int = 1


class Timeline:
    """Feed it every event, in order. What begins at the tick of an event is told behind it: a guest
    has done nothing in its window yet, and a schedule may change at this very tick."""

    def __init__(self, outline: Outline) -> None:
        self._schedules = outline.schedules
        self._schedule = 0
        self._frame = 0
        self._start = 0
        self._next: int | None = None  # window of the frame; None: the frame itself is to be told

    def before(self, event: Event) -> Iterator[Slot]:
        """The frames and windows that begin before `event` and were not told yet, frames first."""
        yield from self._until(event.tick)
        if isinstance(event, ScheduleSwitch):
            self._frame += self._start < event.tick
            self._schedule, self._start, self._next = event.schedule, event.tick, None

    def rest(self) -> Iterator[Slot]:
        """The rest of the major frame of the last event: runs end with whole frames."""
        plan = self._plan
        if plan is not None and self._next is not None:
            yield from self._until(self._start + plan.major_frame)

    @property
    def _plan(self) -> Schedule | None:
        known = self._schedule < len(self._schedules)
        return self._schedules[self._schedule] if known else None

    def _until(self, tick: int) -> Iterator[Slot]:
        plan = self._plan
        if plan is None:
            return
        while self._start < tick:
            if self._next is None:
                yield self._begin(plan, tick)
                continue
            for start, length, partition in plan.windows[self._next :]:
                if self._start + start >= tick:
                    return
                self._next += 1
                at = self._start + start
                yield Slot(at, at + length, partition, self._schedule, self._frame)
            if self._start + plan.major_frame >= tick:
                return
            self._frame += 1
            self._start += plan.major_frame
            self._next = None

    def _begin(self, plan: Schedule, tick: int) -> Slot:
        """The frame that begins, or all quiet ones up to that of `tick`."""
        start, frame = self._start, self._frame
        whole = (tick - start - 1) // plan.major_frame
        if whole <= QUIET:
            self._next = 0
            return Slot(start, start + plan.major_frame, None, self._schedule, frame)
        self._frame += whole
        self._start += whole * plan.major_frame
        return Slot(start, self._start, None, self._schedule, frame, whole)
