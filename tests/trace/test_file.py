"""Trace files round-trip; what is no trace, or damaged, says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from khs.errors import TraceError
from khs.trace import Reader, events, read

from .conftest import FileMaker, RecordMaker


def test_round_trip(trace_file: FileMaker, record: RecordMaker, header: dict[str, Any]) -> None:
    path = trace_file("a", record(15, tick=1) + record(15, tick=2), record(15, tick=3))
    assert [event.tick for event in read(path)] == [1, 2, 3]
    with Reader(path) as reader:
        assert reader.header == header
        assert b"".join(reader.records()) == b"".join(record(15, tick=n) for n in (1, 2, 3))


def test_an_empty_trace_has_no_events(trace_file: FileMaker) -> None:
    assert list(read(trace_file("a"))) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "offset 0: not a KHS trace file"),
        (b"PK\x03\x04 something else entirely", "offset 0: not a KHS trace file"),
        (b"KHSTRACE\x01\0\0\0\0\0\0\0", "trace version 1; this khs reads version 2"),
        (b"KHSTRACE\x02\0\0\0\xff\xff\xff\xff{}", "header is truncated or damaged"),
        (b"KHSTRACE\x02\0\0\0\x02\0\0\0[]", "header is truncated or damaged"),
        (b"KHSTRACE\x02\0\0\0\x02\0\0\0{]", "header is truncated or damaged"),
        (b"KHSTRACE\x02\0\0\0\x02\0\0\0{}short", "offset 18: the last record is cut short"),
        (b"KHSTRACE\x02\0\0\0\x02\0\0\0{}" + bytes(48), "offset 18: a record's size is impossible"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message):
        list(read(path))


def test_every_truncation_is_noticed(trace_file: FileMaker, record: RecordMaker) -> None:
    whole = trace_file("a", record(11, data=b"x" * 20), record(15)).read_bytes()
    start = len(trace_file("b").read_bytes())
    ends = {start, start + len(record(11, data=b"x" * 20)), len(whole)}
    for length in range(start, len(whole) + 1):
        path = trace_file("c")
        path.write_bytes(whole[:length])
        if length in ends:
            list(read(path))
        else:
            with pytest.raises(TraceError, match="truncated"):
                list(read(path))


def test_a_claimed_size_is_not_believed(trace_file: FileMaker, record: RecordMaker) -> None:
    claims_four_gigabytes = record(15)[:8] + b"\xf8\xff\xff\xff" + record(15)[12:]
    with pytest.raises(TraceError, match="truncated"):
        list(read(trace_file("a", claims_four_gigabytes)))


def test_a_damaged_event_is_named_with_file_and_offset(
    trace_file: FileMaker, record: RecordMaker
) -> None:
    path = trace_file("a", record(15), record(99))
    offset = path.stat().st_size - events.HEAD_SIZE
    with pytest.raises(TraceError, match=f"{path}: offset {offset}: an unknown"):
        list(read(path))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        list(read(tmp_path / "missing"))
    with pytest.raises(TraceError, match="is a folder, no trace file\n  help: khs replay"):
        list(read(tmp_path))
