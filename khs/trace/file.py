"""Trace files: "KHSTRACE", u32 version, u32 length of a JSON header, the header, raw records.

The header names the system, so that a trace explains itself: see `khs.trace.names`.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from khs.errors import TraceError
from khs.trace import events
from khs.trace.events import Event

MAGIC = b"KHSTRACE"
_PREFIX = struct.Struct("<8sII")

Header = dict[str, Any]


class Writer:
    """Writes records as they are drained: `Machine.run(..., sink=writer)`."""

    def __init__(self, path: str | os.PathLike[str], header: Header) -> None:
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        try:
            self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise TraceError(f"{path}: cannot be written: {error.strerror}") from None
        self._path = str(path)
        self(_PREFIX.pack(MAGIC, events.VERSION, len(text)) + text)

    def __call__(self, records: memoryview | bytes) -> None:
        left = memoryview(records).cast("B")
        with self._reported():
            while left:
                left = left[self._file.write(left) :]

    def close(self) -> None:
        with self._reported():
            self._file.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._file.close()
            raise TraceError(f"{self._path}: cannot be written: {error.strerror}") from None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Reader:
    """An open trace file: its header, and its records or events in order, once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        try:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 (closed by close)
        except IsADirectoryError:
            raise TraceError(
                f"{path} is a folder, no trace file\n"
                "  help: khs replay DIR --trace FILE makes one of a recording"
            ) from None
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
        self._size = os.fstat(self._file.fileno()).st_size
        try:
            self.header = self._read_header()
        except TraceError:
            self._file.close()
            raise

    def _read_header(self) -> Header:
        prefix = self._file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size or prefix[: len(MAGIC)] != MAGIC:
            raise self._error(0, "not a KHS trace file")
        _, version, length = _PREFIX.unpack(prefix)
        if version != events.VERSION:
            wanted = f"this khs reads version {events.VERSION}"
            raise self._error(8, f"trace version {version}; {wanted}")
        try:
            fits = _PREFIX.size + length <= self._size  # or `read` would allocate what it claims
            header = json.loads(self._file.read(length)) if fits else None
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            raise self._error(_PREFIX.size, "the header is truncated or damaged")
        return header

    def records(self) -> Iterator[bytes]:
        """The raw records."""
        offset = self._file.tell()
        while head := self._file.read(events.HEAD_SIZE):
            size = int.from_bytes(head[8:12], "little")
            if len(head) == events.HEAD_SIZE and (size < events.HEAD_SIZE or size % 8):
                raise self._error(offset, "a record's size is impossible; the file is damaged")
            if len(head) < events.HEAD_SIZE or offset + size > self._size:
                raise self._error(offset, "the last record is cut short; the file is truncated")
            yield head + self._file.read(size - events.HEAD_SIZE)
            offset += size

    def events(self) -> Iterator[Event]:
        """The decoded events."""
        return (event for _, event in self.rows())

    def rows(self) -> Iterator[tuple[bytes, Event]]:
        """The raw records, and the events in them."""
        offset = self._file.tell()
        for record in self.records():
            try:
                event = events.decode(record, offset)
            except TraceError as error:
                raise TraceError(f"{self.path}: {error}") from None
            yield record, event
            offset += len(record)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _error(self, offset: int, message: str) -> TraceError:
        return TraceError(f"{self.path}: offset {offset}: {message}")


def read(path: str | os.PathLike[str]) -> Iterator[Event]:
    """The events of a trace file."""
    with Reader(path) as reader:
        yield from reader.events()
