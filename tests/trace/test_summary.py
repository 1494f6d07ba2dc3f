"""A run boiled down: each distinct denial and fault once."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from khs.trace import Names, events
from khs.trace.console import LONGEST, ConsoleLines
from khs.trace.events import Console
from khs.trace.summary import EXAMPLES, KINDS, SWAPS, Summary

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


def refused(number: int, argument: int, partition: int = 0) -> bytes:
    return make_record(4, partition=partition, number=number, code=4, args=[argument])


def test_of_a_kind_a_few_are_told_and_the_others_counted() -> None:
    """A hypercall refused with one code is a kind, whatever its arguments."""
    summary = Summary(Names.from_header(HEADER))
    for argument in range(1000):
        summary(refused(16, argument))
    summary(refused(16, 2) + refused(17, 5))
    groups = list(summary.refusals.values())
    told = [(1, 0), (1, 0), (2, 0), (1, 1000 - EXAMPLES), (1, 0)]
    assert [(group.count, group.more) for group in groups] == told
    assert not summary.untold


def test_methods_that_there_are_not_are_one_kind() -> None:
    summary = Summary(Names.from_header(HEADER))
    for mid in range(1, 1000):
        summary(denial(mid, 0, mid=mid))
    summary(denial(0, 999))
    assert sum(group.count + group.more for group in summary.denials.values()) == 1000
    assert len(summary.denials) == EXAMPLES + 1  # one that there is


def test_what_one_partition_makes_up_hides_nothing_of_another() -> None:
    summary = Summary(Names.from_header(HEADER))
    for number in range(20):
        for code in (4, 9):
            summary(make_record(4, partition=1, number=number, code=code, args=[0]))
    summary(refused(10, 0, partition=0))
    assert summary.untold == {"refused": 40 - KINDS}
    assert [group.first.partition for group in summary.refusals.values()] == [1] * KINDS + [0]


def test_memory_does_not_grow_with_what_a_guest_makes_up() -> None:
    """Everything a guest can vary: hypercalls, places, numbers, messages, policies."""

    def feed(summary: Summary, numbers: range) -> None:
        for n in numbers:
            summary(make_record(4, number=n % 3, code=4 + 5 * (n % 2), args=[n, n]))
            summary(make_record(4, number=NONE & 0xFFFF, code=16, args=[n]))
            summary(make_record(7, code=1 + n % 2, args=[n, n * 8, 0]))
            summary(make_record(8, code=1, value=1, args=[0, 1, n], data=b"%d" % n * 20))
            summary(denial(n, n, mid=n % 65_536))
            summary(make_record(13, partition=0xFFFF, code=NONE, value=NONE, args=[2, n, n]))
            summary(make_record(13, partition=0xFFFF, code=0, value=0, args=[n + 1, 0]))

    summary = Summary(Names.from_header(HEADER))
    feed(summary, range(5000))
    tracemalloc.start()
    feed(summary, range(5000, 8000))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000
    groups = (summary.denials, summary.refusals, summary.faults, summary.health, summary.policies)
    assert sum(map(len, groups)) < 50
    assert len(summary.notes) == SWAPS and summary.untold == {"policy": 8000 - SWAPS}


def test_the_module_s_stop_is_told_whatever_came_before() -> None:
    summary = Summary(Names.from_header(HEADER))
    for n in range(1, 100):
        summary(make_record(13, partition=0xFFFF, code=0, value=0, args=[n, 0]))
    summary(make_record(14, partition=0xFFFF, code=2))
    assert isinstance(summary.notes[-1], events.Stop)


def test_policies_that_are_refused_are_told_once_with_the_reason() -> None:
    summary = Summary(Names.from_header(HEADER))
    for reason in (2, 2, 4):
        args = [reason, 8192, 4096]
        summary(make_record(13, partition=0xFFFF, code=1, value=NONE, args=args))
    groups = [(group.count, group.what) for group in summary.policies.values()]
    told = "policy    relaxed: refused, the old one stays: it "
    assert [(count, what.startswith(told)) for count, what in groups] == [(2, True), (1, True)]
    assert groups[1][1].endswith("needs more state than is reserved (8192 bytes, 4096 are)")
    assert summary.notes == []


def test_what_a_guest_says_is_cut_off() -> None:
    summary = Summary(Names.from_header(HEADER))
    summary(make_record(8, code=1, value=1, args=[0, 1, 1], data=b"x" * 100_000))
    (group,) = summary.health.values()
    assert len(group.what) < 600


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
