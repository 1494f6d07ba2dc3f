"""Traces: typed events, trace files, readable lines, the first difference."""

from __future__ import annotations

from khs.trace.diff import Difference, diff, diff_decisions
from khs.trace.events import Event, decode, split
from khs.trace.file import Reader, Writer, read
from khs.trace.names import Names
from khs.trace.text import format, to_json

__all__ = [
    "Difference",
    "Event",
    "Names",
    "Reader",
    "Writer",
    "decode",
    "diff",
    "diff_decisions",
    "format",
    "read",
    "split",
    "to_json",
]
