"""The events of a run as far as it was ever taken, in a file that goes away: a long run has more
of them than memory should hold. The run moves in both directions along it."""

from __future__ import annotations

import bisect
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from khs.engine.stepping import Batch
from khs.errors import EngineError
from khs.trace.kinds import EventType

#: Bytes between two places that are found at once.
STRIDE = 1 << 18
_SIZE_KIND = struct.Struct("<8xI12xH")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log: so many records, of so many bytes, come before it; among them so many
    verdicts and policy swaps."""

    count: int = 0
    offset: int = 0
    granted: int = 0
    denied: int = 0
    swaps: int = 0

    def behind(self, batch: Batch) -> Mark:
        return Mark(
            self.count + batch.count,
            self.offset + len(batch.records),
            self.granted + batch.granted,
            self.denied + batch.denied,
            self.swaps + batch.swaps,
        )


class Log:
    """Event records from the beginning to where the run stands."""

    def __init__(self) -> None:
        self.here = self._end = Mark()
        self._marks = [Mark()]
        self._file = tempfile.TemporaryFile(prefix="khs-events-")  # noqa: SIM115 - see close

    def close(self) -> None:
        self._file.close()

    def add(self, batch: Batch) -> None:
        """The run went on and had these. EngineError if it had others the last time, or if there
        is no room for more."""
        records, begin = batch.records, self.here.offset
        self.here = self.here.behind(batch)
        try:
            self._file.seek(begin)
            known = min(len(records), self._end.offset - begin)
            if known > 0 and self._file.read(known) != records[:known]:
                raise EngineError("the run did not repeat itself: this is a defect of khs")
            if known < len(records):
                self._file.seek(begin + known)
                self._file.write(records[known:])
                self._end = self.here
        except OSError as error:
            raise EngineError(f"events cannot be kept: {error.strerror}") from error
        if self.here.offset - self._marks[-1].offset >= STRIDE:
            self._marks.append(self.here)

    def go(self, mark: Mark) -> None:
        """The run stands there now."""
        self.here = mark

    def cut(self) -> None:
        """From here on the run will be another one."""
        self._end = self.here
        self._marks = [mark for mark in self._marks if mark.count <= self.here.count]

    # ------------------------------------------------------------ reading

    def read(self, since: int = 0, kinds: frozenset[int] | None = None) -> Iterator[bytes]:
        """Records from number `since` to where the run stands; only those of some types."""
        for begin, end in self._strides():
            if end.count <= since or (kinds == _SWAPS and begin.swaps == end.swaps):
                continue
            rows = self._records(begin, end, kinds)
            yield from (record for number, record in rows if number >= since)

    def backwards(self) -> Iterator[bytes]:
        """Records from the last one before here to the first; a few of them cost little."""
        for begin, end in reversed(self._strides()):
            rows = [record for _, record in self._records(begin, end)]
            yield from reversed(rows)

    def batches(self) -> Iterator[bytes]:
        """All of it, in pieces of whole records."""
        return (self._piece(begin, end) for begin, end in self._strides())

    def _strides(self) -> list[tuple[Mark, Mark]]:
        last = bisect.bisect_left(self._marks, self.here.count, key=lambda mark: mark.count)
        return list(pairwise([*self._marks[:last], self.here]))

    def _piece(self, begin: Mark, end: Mark) -> bytes:
        self._file.seek(begin.offset)
        return self._file.read(end.offset - begin.offset)

    def _records(
        self, begin: Mark, end: Mark, kinds: frozenset[int] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        data = memoryview(self._piece(begin, end))
        place, number = 0, begin.count
        while place < len(data):
            size, kind = _SIZE_KIND.unpack_from(data, place)
            if kinds is None or kind in kinds:
                yield number, bytes(data[place : place + size])
            place, number = place + size, number + 1


_SWAPS = frozenset({int(EventType.POLICY)})
