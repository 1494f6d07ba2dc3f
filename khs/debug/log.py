"""The events of a run as far as it was ever taken, in a file that goes away: a long run has more
of them than memory should hold. The run moves in both directions along it."""

from __future__ import annotations

import bisect
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from khs.errors import EngineError

#: Bytes between two places that are found at once.
STRIDE = 1 << 18
_SIZE_KIND = struct.Struct("<8xI12xH")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log: so many records, of so many bytes, come before it."""

    count: int = 0
    offset: int = 0


class Log:
    """Event records from the beginning to where the run stands."""

    def __init__(self) -> None:
        self.here = self._end = Mark()
        self._marks = [Mark()]
        self._file = tempfile.TemporaryFile(prefix="khs-events-")  # noqa: SIM115 - see close

    def close(self) -> None:
        self._file.close()

    def add(self, records: bytes | memoryview, count: int) -> None:
        """The run went on and had these. EngineError if it had others the last time, or if there
        is no room for more."""
        begin = self.here.offset
        self.here = Mark(self.here.count + count, begin + len(records))
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

    def read(self, since: int = 0, kinds: frozenset[int] | None = None) -> Iterator[bytes]:
        """Records from number `since` to where the run stands; only those of some types."""
        first = bisect.bisect_right(self._marks, since, key=lambda mark: mark.count) - 1
        if since >= self.here.count:
            return
        marks = [each for each in self._marks[first:] if each.count < self.here.count]
        for begin, end in pairwise([*marks, self.here]):
            self._file.seek(begin.offset)
            data = memoryview(self._file.read(end.offset - begin.offset))
            place, number = 0, begin.count
            while place < len(data):
                size, kind = _SIZE_KIND.unpack_from(data, place)
                if number >= since and (kinds is None or kind in kinds):
                    yield bytes(data[place : place + size])
                place, number = place + size, number + 1

    def batches(self) -> list[bytes]:
        """All of it, in pieces of whole records."""
        marks = [*(mark for mark in self._marks if mark.count < self.here.count), self.here]
        pieces = []
        for begin, end in pairwise(marks):
            self._file.seek(begin.offset)
            pieces.append(self._file.read(end.offset - begin.offset))
        return pieces
