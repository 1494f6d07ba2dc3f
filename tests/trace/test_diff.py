"""The first difference of two traces, in context."""

from __future__ import annotations

from khs.trace import diff

from .conftest import FileMaker, RecordMaker


def test_equal_traces(trace_file: FileMaker, record: RecordMaker) -> None:
    records = [record(15, tick=n) for n in range(9)]
    assert diff(trace_file("a", *records), trace_file("b", *records)) is None


def test_the_first_difference_comes_with_its_context(
    trace_file: FileMaker, record: RecordMaker
) -> None:
    a = [record(15, tick=n) for n in range(20)]
    b = [*a[:12], record(11, tick=12, data=b"hello"), *a[13:]]
    found = diff(trace_file("a", *a), trace_file("b", *b))
    assert found is not None
    assert found.index == 12
    assert len(found.before) == 5
    assert "0.000088 ms" in found.before[-1]
    assert found.a is not None
    assert found.a.endswith("idle instruction")
    assert found.b is not None
    assert found.b.endswith("console   hello")
    assert found.to_json()["b"]["type"] == "console"


def test_a_shorter_trace_differs_at_its_end(trace_file: FileMaker, record: RecordMaker) -> None:
    found = diff(trace_file("a", record(15)), trace_file("b", record(15), record(15)))
    assert found is not None
    assert (found.index, found.a) == (1, None)
    assert found.b is not None


def test_a_partitions_own_trace_does_not_show_its_neighbour(
    trace_file: FileMaker, record: RecordMaker
) -> None:
    """Global ticks, invisible events and other partitions are left out."""
    mine = [record(15, tick=n, local=n) for n in (1, 2)]
    later = [record(15, tick=n + 7, local=n) for n in (1, 2)]
    a = trace_file("a", *mine)
    b = trace_file("b", later[0], record(15, partition=1), record(3, visible=False), later[1])
    assert diff(a, b) is not None
    assert diff(a, b, partition="client") is None
    found = diff(a, b, partition="server")
    assert found is not None
    assert found.index == 0
