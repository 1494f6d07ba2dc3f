"""The first difference of two traces, in context."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from khs.errors import TraceError
from khs.trace import events
from khs.trace.file import Reader
from khs.trace.names import Names
from khs.trace.text import format, to_json

CONTEXT = 5

Pair = tuple[bytes, Names]


@dataclass(frozen=True, slots=True)
class Difference:
    """Event number `index` (from 0) is the first that differs; None: that trace has ended."""

    index: int
    before: tuple[str, ...]  # lines of the last common events
    a: str | None
    b: str | None
    a_json: dict[str, object] | None
    b_json: dict[str, object] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "before": list(self.before),
            "a": self.a_json,
            "b": self.b_json,
            "text": {"a": self.a, "b": self.b},
        }


def diff(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, partition: str | None = None
) -> Difference | None:
    """Compares two trace files byte by byte; None if they agree.

    With `partition`, only what that partition could observe is compared: its visible events by
    its own clock, whatever else happened around it.
    """
    before: deque[str] = deque(maxlen=CONTEXT)
    with Reader(a) as one, Reader(b) as two:
        for reader in (one, two) if partition is not None else ():
            known = Names.from_header(reader.header).partitions
            if partition not in known:
                raise TraceError(
                    f"{reader.path}: there is no partition '{partition}'\n"
                    f"  help: one of {', '.join(known)}"
                )
        pairs = zip_longest(_records(one, partition), _records(two, partition))
        start = 0 if partition is None else events.MODULE_BYTES
        for index, (left, right) in enumerate(pairs):
            if left is None or right is None or left[0][start:] != right[0][start:]:
                return Difference(
                    index,
                    tuple(before),
                    *_shown(left, right, format),
                    *_shown(left, right, to_json),
                )
            before.append(format(events.decode(left[0]), left[1]))
    return None


def _shown(left: Pair | None, right: Pair | None, show: Any) -> list[Any]:
    return [
        None if side is None else show(events.decode(side[0]), side[1]) for side in (left, right)
    ]


def _records(reader: Reader, partition: str | None) -> Iterator[Pair]:
    names = Names.from_header(reader.header)
    for record in reader.records():
        event = events.decode(record)
        if partition is None or (event.visible and names.partition(event.partition) == partition):
            yield record, names
        names.observe(event)
