"""A run as one page: `khs report`. It needs no network, and no scripts for its tables."""

from __future__ import annotations

from pathlib import Path

from khs.errors import TraceError
from khs.report.collect import Collected, collect
from khs.report.page import page
from khs.trace import Reader

__all__ = ["Collected", "collect", "page", "write"]


def write(reader: Reader, path: Path) -> Collected:
    """Writes the page of a trace; what is on it. TraceError if the trace is damaged or the file
    cannot be written."""
    found = collect(reader.header, reader.rows())
    try:
        path.write_bytes(page(found).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror}") from None
    return found
