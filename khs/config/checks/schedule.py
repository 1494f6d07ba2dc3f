"""Rules about schedules and windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from khs.config.document import (
    Document,
    PartitionTable,
    ScheduleTable,
    UnreadableError,
    WindowTable,
)
from khs.config.rules import Context, Problem, Problems, at, readable, rule, suggest
from khs.config.units import Duration

Span = tuple[int, int]


@rule("SCHED-001", Context.whole)
def some_schedule(c: Context, document: Document) -> Problems:
    """A system has at least one schedule."""
    if not document.schedule:
        help = "add [schedule.NAME] with major_frame and windows"
        yield Problem(("schedule",), "the system has no schedule", help)


@rule("SCHED-002", Context.schedules)
def some_window(c: Context, schedule: ScheduleTable) -> Problems:
    """A schedule has at least one window."""
    if not schedule.windows:
        yield Problem(
            at(schedule, "windows"),
            f"schedule {schedule.label} has no windows: nobody would ever run",
            'windows = [ { partition = "...", start = "0ms", length = "..." } ]',
        )


@rule("SCHED-003", Context.schedules)
def overlap(c: Context, schedule: ScheduleTable) -> Problems:
    """Windows of a schedule do not overlap."""
    whole = [w for w in schedule.windows if readable(w, "partition", "start", "length")]
    ordered = sorted(whole, key=lambda window: (window.start, window.path))
    for before, window in pairwise(ordered):
        end = before.start.ns + before.length.ns
        if window.start.ns < end:
            yield Problem(
                at(window, "start"),
                f"window of {window.partition} at {window.start} overlaps the window of "
                f"{before.partition} at {before.start}",
                f"that window ends at {type(window.start)(end)}",
            )


@rule("SCHED-004", Context.windows)
def inside_the_frame(c: Context, subject: tuple[ScheduleTable, WindowTable]) -> Problems:
    """A window ends within the major frame."""
    schedule, window = subject
    end = window.start.ns + window.length.ns
    if end > schedule.major_frame.ns > 0:
        yield Problem(
            at(window, "length"),
            f"window of {window.partition} ends at {type(window.start)(end)}, "
            f"after the major frame of {schedule.major_frame}",
            "shorten or move the window, or lengthen major_frame",
        )


@rule("SCHED-005", Context.windows)
def known_partition(c: Context, subject: tuple[ScheduleTable, WindowTable]) -> Problems:
    """A window belongs to a partition of the system."""
    _, window = subject
    known = c.document.partition
    if known and window.partition not in known:  # PART-001 says it if there are none
        yield Problem(
            at(window, "partition"),
            f'there is no partition "{window.partition}"',
            suggest(window.partition, known, "partitions"),
        )


@rule("SCHED-006", Context.windows)
def some_time(c: Context, subject: tuple[ScheduleTable, WindowTable]) -> Problems:
    """A window is longer than 0."""
    _, window = subject
    if window.length.ns == 0:
        message = f"window of {window.partition} has no length"
        yield Problem(at(window, "length"), message, "give it a length or take it out")


@rule("SCHED-007", Context.schedules)
def some_frame(c: Context, schedule: ScheduleTable) -> Problems:
    """A major frame is longer than 0."""
    if schedule.major_frame.ns == 0:
        message = f"the major frame of {schedule.label} has no length"
        yield Problem(at(schedule, "major_frame"), message, 'e.g. "20ms"')


@rule("SCHED-008", Context.partitions)
def runs_at_all(c: Context, partition: PartitionTable) -> Problems:
    """A partition has a window in some schedule."""
    if c.document.schedule and not any(_windows(c, partition)):
        yield Problem(
            partition.path,
            f"partition {partition.label} has no window in any schedule: it would never run",
            "add a window, or take the partition out",
            at_key=True,
        )


@rule("SCHED-009", Context.partitions, "warning")
def runs_initially(c: Context, partition: PartitionTable) -> Problems:
    """A partition has a window in the initial schedule."""
    counts = _windows(c, partition)
    if any(counts) and not counts[0]:
        initial = next(iter(c.document.schedule))
        yield Problem(
            partition.path,
            f"partition {partition.label} has no window in the initial schedule {initial}: "
            "it does not run before a schedule switch",
            f"add a window to schedule {initial} if that is not meant",
            at_key=True,
        )


def _windows(c: Context, partition: PartitionTable) -> list[int]:
    """How many windows the partition has in each schedule."""
    return [
        len(c.windows_of(schedule, partition.label)) for schedule in c.document.schedule.values()
    ]


class Service(NamedTuple):
    """How a schedule serves a periodic partition; times in ticks."""

    schedule: ScheduleTable
    frame: int
    period: int
    spans: list[Span]


def spans(c: Context, schedule: ScheduleTable, partition: str) -> list[Span]:
    """Start and end of the partition's windows in one major frame, in ticks, ascending."""
    found = [
        (c.ticks(window.start), c.ticks(window.start) + c.ticks(window.length))
        for window in c.windows_of(schedule, partition)
    ]
    return sorted(span for span in found if span[0] < span[1])


def _services(c: Context, partition: PartitionTable) -> Iterator[Service]:
    """The schedules in which a periodic partition runs."""
    if partition.period is None or partition.period.ns == 0:
        return
    period = c.ticks(partition.period)
    for schedule in c.schedules():
        try:
            frame, found = c.ticks(schedule.major_frame), spans(c, schedule, partition.label)
        except UnreadableError:
            continue
        if frame and found:
            yield Service(schedule, frame, period, found)


def unserved(service: Service, phase: int, length: int) -> int | None:
    """The first release point, in the frame, with no window time in the next `length` ticks.

    Release points are phase + k * period; against the frame they are the points that equal the
    phase modulo gcd(period, frame). One is unserved if it and `length` lie in a gap.
    """
    step = math.gcd(service.period, service.frame)
    first = service.spans[0][0]
    end = 0
    for span, following in pairwise([*service.spans, (first + service.frame, 0)]):
        end = max(end, span[1])
        release = end + (phase - end) % step
        if release + length <= following[0]:
            return release % service.frame
    return None


@rule("SCHED-010", Context.partitions)
def compatible_period(c: Context, partition: PartitionTable) -> Problems:
    """A period divides the major frame or is a multiple of it, in every schedule in which the
    partition runs."""
    for schedule, frame, period, _ in _services(c, partition):
        if frame % period and period % frame:
            yield Problem(
                at(partition, "period"),
                f"period {partition.period} does not fit the major frame "
                f"{schedule.major_frame} of schedule {schedule.label}",
                f"a divisor or a multiple of {schedule.major_frame}, or windows and release "
                "points drift apart",
            )


@rule("SCHED-011", Context.partitions)
def served_period(c: Context, partition: PartitionTable) -> Problems:
    """A periodic partition has window time in each of its periods. Release points count from its
    first window."""
    phase: int | None = None
    for service in _services(c, partition):
        phase = service.spans[0][0] if phase is None else phase
        release = unserved(service, phase, service.period)
        if release is not None:
            yield Problem(
                at(partition, "period"),
                f"schedule {service.schedule.label} gives {partition.label} no window in the "
                f"period that begins at {_time(c, release)}",
                f"give it a window in every {partition.period}, or lengthen the period",
            )


@rule("SCHED-012", Context.partitions)
def reachable_deadline(c: Context, partition: PartitionTable) -> Problems:
    """A partition has window time between each release point and its deadline."""
    if partition.deadline is None or partition.deadline.ns == 0:
        return
    deadline = c.ticks(partition.deadline)
    phase: int | None = None
    for service in _services(c, partition):
        phase = service.spans[0][0] if phase is None else phase
        release = unserved(service, phase, deadline)
        if release is not None and deadline < service.period:  # else SCHED-011 says it
            yield Problem(
                at(partition, "deadline"),
                f"schedule {service.schedule.label} gives {partition.label} no window between its "
                f"release at {_time(c, release)} and its deadline {partition.deadline} later",
                "lengthen the deadline, or add a window at the release point",
            )


@rule("SCHED-013", Context.partitions, "warning")
def deadline_elsewhere(c: Context, partition: PartitionTable) -> Problems:
    """A partition with a deadline has windows in every schedule; else it misses its deadlines
    while another schedule is in force."""
    counts = dict(zip(c.document.schedule, _windows(c, partition), strict=True))
    idle = [name for name, count in counts.items() if not count]
    if partition.deadline is not None and any(counts.values()) and idle:
        yield Problem(
            at(partition, "deadline"),
            f"{partition.label} misses every deadline in schedule {idle[0]}: no window there",
            "add a window there, or stop the partition before the switch",
        )


@rule("SCHED-014", Context.whole, "warning")
def reachable_schedule(c: Context, document: Document) -> Problems:
    """With several schedules, some partition may switch them."""
    others = list(document.schedule.values())[1:]
    if others and any("schedule-switch" in p.privileges for p in document.partition.values()):
        return
    for schedule in others:
        yield Problem(
            schedule.path,
            f"schedule {schedule.label} is never in force: nobody may switch schedules",
            'give a partition privileges = ["schedule-switch"]',
            at_key=True,
        )


@rule("SCHED-015", Context.schedules, "warning")
def ascending(c: Context, schedule: ScheduleTable) -> Problems:
    """Windows are written in the order in which they run."""
    for before, window in pairwise(schedule.windows):
        if window.start < before.start:
            yield Problem(
                at(window, "start"),
                f"the window at {window.start} stands after the one at {before.start}",
                "write windows in ascending order",
            )


def _time(c: Context, ticks: int) -> Duration:
    if c.board is None:
        raise UnreadableError("board")
    return Duration(c.board.ns(ticks))
