"""A run boiled down: each distinct denial and fault once."""

from __future__ import annotations

import struct

import pytest

from khs.trace import Names, events
from khs.trace.console import LONGEST, ConsoleLines
from khs.trace.events import Console
from khs.trace.summary import Summary

from .conftest import HEADER, make_record

NONE = 0xFFFF_FFFF


def denial(tick: int, value: int, mid: int = 0) -> bytes:
    message = struct.pack("<IHHII", 0, mid, 0, value, 0)
    args = [1, 0 | 1 << 32, 0, 0 | 1 << 32, 0 | 1 << 32]
    return make_record(6, tick=tick, args=args, data=message)


def test_like_denials_are_one_group_with_count_and_first() -> None:
    summary = Summary(Names.from_header(HEADER))
    granted = make_record(6, value=1, args=[1, 1 << 32, 0, 0, 1 << 32])
    summary(denial(5, 999) + granted + denial(6, 1000))
    summary(denial(7, 1, mid=3))
    groups = list(summary.denials.values())
    assert [(group.count, group.first.tick) for group in groups] == [(2, 5), (1, 7)]
    assert groups[0].what == "request demo.Client -> demo.Server setpoint.Set {temperature: 999}"
    assert groups[0].why == "demo.psl:7: assert(message.temperature <= 300)"


def test_faults_health_and_console() -> None:
    fault = make_record(7, code=1, args=[0x4000_0000, 0, 0])
    elsewhere = make_record(7, code=1, args=[0x4000_0004, 0, 0])
    said: list[bytes] = []
    summary = Summary(Names.from_header(HEADER), lambda event: said.append(event.text))
    summary(fault + elsewhere + fault + make_record(11, data=b"hi"))
    summary(make_record(8, code=4, value=3, args=[1, 1, 0]))
    assert [group.count for group in summary.faults.values()] == [2, 1]
    assert said == [b"hi"]
    assert [group.what for group in summary.health.values()] == [
        "health    memory-fault (partition level, running) -> cold-restart"
    ]


def test_like_events_are_counted_without_being_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile guest can cause millions: time, SIDs and the message's values make no difference."""
    decoded: list[bytes] = []

    def decode(record: memoryview) -> events.Event:
        decoded.append(bytes(record))
        return events_decode(record)

    events_decode = events.decode
    monkeypatch.setattr(events, "decode", decode)
    summary = Summary(Names.from_header(HEADER))
    faults = [make_record(7, tick=n, local=n, code=1, args=[0x4000, 8, n % 2]) for n in range(50)]
    health = [make_record(8, tick=n, code=4, value=3, args=[1, n % 2, 0]) for n in range(50)]
    calls = [make_record(4, tick=n, number=10, code=4, args=[7, n]) for n in range(50)]
    summary(b"".join([*(denial(n, value=n) for n in range(50)), *faults, *health, *calls]))
    groups = (summary.denials, summary.faults, summary.health, summary.refusals)
    assert [[each.count for each in group.values()] for group in groups] == [[50]] * 4
    assert len(decoded) == 4


def test_too_many_kinds_of_events_are_counted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither memory nor output grows with what a guest makes up."""
    monkeypatch.setattr("khs.trace.summary.MOST", 3)
    summary = Summary(Names.from_header(HEADER))
    for mid in (0, 1, 2, 3, 4, 4, 0):
        summary(denial(mid, 0, mid=mid))
    assert [group.count for group in summary.denials.values()] == [2, 1, 1]
    assert summary.untold == {"denied": 3}
    swap = make_record(13, partition=0xFFFF, code=1, value=NONE)
    summary(swap * 5)
    assert len(summary.notes) == 3 and summary.untold["policy"] == 2


def test_refused_hypercalls_say_what_they_lacked() -> None:
    summary = Summary(Names.from_header(HEADER))
    stop = make_record(4, number=10, code=4)
    summary(stop + make_record(4, number=0, code=0) + stop)
    (group,) = summary.refusals.values()
    assert (group.count, group.what) == (2, "khs_module_stop()")
    assert group.why.endswith("missing privilege (it needs the privilege module-stop)")


def test_console_lines_are_put_together_by_partition() -> None:
    shown: list[str] = []
    lines = ConsoleLines(Names.from_header(HEADER), shown.append)
    summary = Summary(Names.from_header(HEADER), lines.add)
    summary(make_record(11, data=b"one\ntw", partition=0))
    summary(make_record(11, data=b"other", partition=1))
    assert shown == ["client: one"]
    summary(make_record(11, data=b"o\x1b[2J\n\nthree", partition=0))
    assert shown == ["client: one", "client: two\\x1b[2J", "client: "]
    lines.close()
    assert shown[3:] == ["server: other", "client: three"]
    lines.close()
    assert len(shown) == 5
    lines.add(Console(0, 0, True, 0, b"x" * 2500))
    assert [len(line) for line in shown[5:]] == [len("client: ") + LONGEST] * 2
