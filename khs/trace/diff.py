"""The first difference of two traces, in context."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from khs.errors import TraceError
from khs.trace import events
from khs.trace.events import Event
from khs.trace.file import Reader
from khs.trace.names import Names
from khs.trace.text import format, to_json

CONTEXT = 5

#: A record, the event in it, and the names so far.
Row = tuple[bytes, Event, Names]
Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Event number `index` (from 0) is the first that differs; None: that trace has ended."""

    index: int
    before: tuple[str, ...]  # lines of the last common events
    a: str | None
    b: str | None
    a_json: dict[str, object] | None
    b_json: dict[str, object] | None

    def __str__(self) -> str:
        """Both sides, behind what they have in common."""
        sides = [
            f"{mark} {row or 'the trace has ended'}" for mark, row in (("-", self.a), ("+", self.b))
        ]
        return "\n".join([*(f"  {row}" for row in self.before), *sides])

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "before": list(self.before),
            "a": self.a_json,
            "b": self.b_json,
            "text": {"a": self.a, "b": self.b},
        }


def diff(a: Path, b: Path, *, partition: str | None = None) -> Difference | None:
    """Compares two trace files byte by byte; None if they agree.

    With `partition`, only what that partition could observe is compared: its visible events by
    its own clock, whatever else happened around it.
    """
    for path in (a, b) if partition is not None else ():
        with Reader(path) as reader:
            known = Names.from_header(reader.header).partitions
        if partition not in known:
            raise TraceError(
                f"{path}: there is no partition '{partition}'\n  help: one of {', '.join(known)}"
            )
    start = 0 if partition is None else events.MODULE_BYTES
    return _first(a, b, lambda reader: _rows(reader, partition), lambda row: row[0][start:])


def diff_decisions(a: Path, b: Path) -> Difference | None:
    """The first verdict of two trace files that was another, or on another event; None if there is
    none. When it was given, why, and by which rule does not count. `index` and `before` are of
    verdicts alone."""
    return _first(a, b, _verdicts, _decision)


def _first(
    a: Path, b: Path, rows: Callable[[Reader], Iterator[Row]], key: Callable[[Row], object]
) -> Difference | None:
    """The first place where the keys differ, or where one has ended. What is shown of it is read
    again: lines take much longer than keys."""
    with Reader(a) as one, Reader(b) as two:
        index = 0
        for left, right in zip_longest(rows(one), rows(two)):
            if left is None or right is None or key(left) != key(right):
                break
            index += 1
        else:
            return None
    before: list[str] = []
    with Reader(a) as one, Reader(b) as two:
        pairs = zip_longest(rows(one), rows(two))
        for (_, event, names), _ in islice(pairs, max(0, index - CONTEXT), index):
            before.append(format(event, names))
        left, right = next(pairs)
        return Difference(
            index, tuple(before), *_shown(left, right, format), *_shown(left, right, to_json)
        )


def _shown(left: Row | None, right: Row | None, show: Any) -> list[Any]:
    return [None if side is None else show(*side[1:]) for side in (left, right)]


def _rows(reader: Reader, partition: str | None) -> Iterator[Row]:
    names = Names.from_header(reader.header)
    for record, event in reader.rows():
        if partition is None or (event.visible and names.partition(event.partition) == partition):
            yield record, event, names
        names.observe(event)


def _verdicts(reader: Reader) -> Iterator[Row]:
    return (row for row in _rows(reader, None) if isinstance(row[1], events.Verdict))


def _decision(row: Row) -> tuple[object, ...]:
    """What was judged, and how. Each policy numbers the classes in its own way."""
    _, event, names = row
    assert isinstance(event, events.Verdict)
    policy = names.policy_of(event)
    classes = (policy.class_name(event.source_class), policy.class_name(event.destination_class))
    return (event.event, classes, event.source, event.destination, event.message, event.granted)
