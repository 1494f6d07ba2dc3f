"""Perfetto's trace format: packets of tracks, slices, instants and counters, written one by one.

https://perfetto.dev/docs/reference/trace-packet-proto and .../reference/synthetic-track-event;
field numbers are those of perfetto/protos/perfetto/trace. Times are nanoseconds of the clock that
the trace declares, the one since boot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from khs.trace.protobuf import fixed64, message, number, text

_OF_SEQUENCE = number(10, 1)
_BEGINS, _GOES_ON = number(13, 1), number(13, 2)  # SequenceFlags: CLEARED, NEEDS_INCREMENTAL_STATE
_CLOCK = 6  # BUILTIN_CLOCK_BOOTTIME
_EXPLICIT = 3  # ChildTracksOrdering
_LAST = (1 << 63) - 1
#: Strings of a kind that are written once and referred to; more are written where they are used.
_INTERNED = 4096

Value = str | int


class Shared(str):
    """A detail that comes again and again: a rule, say."""


@dataclass(frozen=True, slots=True)
class Point:
    """A slice or instant: `flows` begin in it or pass it, `ends` end in it. `once`: its name does
    not come again."""

    name: str
    category: str
    details: Mapping[str, Value] = field(default_factory=dict)
    flows: Iterable[int] = ()
    ends: Iterable[int] = ()
    once: bool = False


class Type(IntEnum):
    """TrackEvent.Type"""

    BEGIN = 1
    END = 2
    INSTANT = 3
    COUNTER = 4


class Kind(IntEnum):
    """Fields of InternedData; all hold messages of a number and a string."""

    CATEGORY = 1
    EVENT = 2
    DETAIL = 3
    VALUE = 29


class TrackEvents:
    """Writes packets through `write`, as they come. Tracks are known by numbers of the caller's."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._strings: dict[tuple[Kind, str], int] = {}
        self._counts = dict.fromkeys(Kind, 0)
        self._new: list[bytes] = []
        clock = message(1, number(1, _CLOCK), number(2, 0))
        self._packet(
            _BEGINS,
            message(59, number(58, _CLOCK)),  # defaults: timestamps are of this clock
            message(6, clock, number(2, _CLOCK)),
        )

    def process(self, track: int, name: str, labels: Iterable[str]) -> None:
        """The root of tracks."""
        about = number(1, 1) + text(6, name) + b"".join(text(8, label) for label in labels)
        self._track(track, message(3, about))

    def track(self, track: int, parent: int, name: str, rank: int, about: str = "") -> None:
        """A track of slices and instants; siblings stand in the order of their ranks."""
        told = text(14, about) if about else b""
        self._track(track, number(5, parent), text(2, name), number(12, rank), told)

    def counter(self, track: int, parent: int, name: str, rank: int, unit: str) -> None:
        """A track of numbers."""
        self._track(
            track, number(5, parent), text(2, name), number(12, rank), message(8, text(6, unit))
        )

    def begin(self, track: int, ns: int, point: Point) -> None:
        """A slice begins."""
        self._event(track, ns, Type.BEGIN, self._about(point))

    def end(self, track: int, ns: int, details: Mapping[str, Value] | None = None) -> None:
        """The innermost slice of the track ends."""
        self._event(track, ns, Type.END, self._details(details or {}))

    def instant(self, track: int, ns: int, point: Point) -> None:
        """Something that takes no time."""
        self._event(track, ns, Type.INSTANT, self._about(point))

    def count(self, track: int, ns: int, value: int) -> None:
        """A counter's value from now on."""
        self._event(track, ns, Type.COUNTER, number(30, value))

    def _about(self, point: Point) -> bytes:
        category = self._interned(Kind.CATEGORY, point.category)
        named = None if point.once else self._interned(Kind.EVENT, point.name)
        return b"".join(
            (
                text(22, point.category) if category is None else number(3, category),
                text(23, point.name) if named is None else number(10, named),
                self._details(point.details),
                *(fixed64(47, flow) for flow in point.flows),
                *(fixed64(48, flow) for flow in point.ends),
            )
        )

    def _details(self, details: Mapping[str, Value]) -> bytes:
        return b"".join(message(4, self._detail(*each)) for each in details.items())

    def _detail(self, key: str, value: Value) -> bytes:
        if isinstance(value, int):
            return self._named(key) + (number(3, value) if value >= 0 else number(4, value))
        if not isinstance(value, Shared):
            return self._named(key) + text(6, value)
        shared = self._interned(Kind.VALUE, value)
        return self._named(key) + (text(6, value) if shared is None else number(17, shared))

    def _named(self, key: str) -> bytes:
        named = self._interned(Kind.DETAIL, key)
        return text(10, key) if named is None else number(1, named)

    def _interned(self, kind: Kind, value: str) -> int | None:
        """The number of a string, None if there are too many."""
        known = self._strings.get((kind, value))
        if known is None and self._counts[kind] < _INTERNED:
            self._counts[kind] += 1
            known = self._strings[kind, value] = self._counts[kind]
            self._new.append(message(kind, number(1, known), text(2, value)))
        return known

    def _event(self, track: int, ns: int, kind: Type, about: bytes) -> None:
        new = message(12, *self._new) if self._new else b""
        self._new.clear()
        body = message(11, number(9, kind), number(11, track), about)
        self._packet(number(8, min(ns, _LAST)), _GOES_ON, new, body)

    def _track(self, track: int, *about: bytes) -> None:
        self._packet(message(60, number(1, track), *about, number(11, _EXPLICIT)))

    def _packet(self, *parts: bytes) -> None:
        self._write(message(1, _OF_SEQUENCE, *parts))
