"""Hashes of an event stream: one of whole records, one per partition of its visible parts.

Much hashing is done in a thread of its own, beside the guests; `hashlib` lets go of the
interpreter meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import threading
from queue import Queue

from khs.engine.native import Drained

#: Batches below this many bytes are not worth handing over.
LARGE = 1 << 15
#: Batches that may wait.
WAITING = 8

_Batch = tuple[bytes, list[tuple[int, bytes]]]


class StreamHashes:
    """Feed with `update`; `settle` before reading the digests or letting go of it."""

    def __init__(self, partitions: int) -> None:
        self._whole = hashlib.sha256()
        self._parts = [hashlib.sha256() for _ in range(partitions)]
        self._queue: Queue[_Batch | None] | None = None
        self._thread: threading.Thread | None = None

    def update(self, drained: Drained) -> None:
        """Copies what it does not hash at once: the views are reused."""
        if self._queue is None and len(drained.records) >= LARGE and _cores() > 1:
            self._start()
        if self._queue is None:
            self._hash(drained.records, drained.parts)
        else:
            parts = [(number, bytes(part)) for number, part in drained.parts]
            self._queue.put((bytes(drained.records), parts))

    def settle(self) -> None:
        """Waits until everything is hashed. More may follow."""
        if self._queue is not None and self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._queue = self._thread = None

    def digests(self) -> tuple[str, list[str]]:
        """Of the whole stream, and by partition; after `settle`."""
        return self._whole.hexdigest(), [part.hexdigest() for part in self._parts]

    def copy(self) -> StreamHashes:
        """As far as this one is; after `settle`."""
        other = StreamHashes(0)
        other._whole = self._whole.copy()
        other._parts = [part.copy() for part in self._parts]
        return other

    def _start(self) -> None:
        self._queue = Queue(WAITING)
        self._thread = threading.Thread(target=self._work, args=(self._queue,), daemon=True)
        self._thread.start()

    def _work(self, queue: Queue[_Batch | None]) -> None:
        while (batch := queue.get()) is not None:
            self._hash(*batch)

    def _hash(
        self,
        records: bytes | memoryview,
        parts: list[tuple[int, bytes]] | list[tuple[int, memoryview]],
    ) -> None:
        self._whole.update(records)
        for number, part in parts:
            self._parts[number].update(part)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
