"""Events as lines: names for numbers, reasons with their place."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khs.errors import TraceError
from khs.trace import Names, decode, format, to_json
from khs.trace.text import describe

from .conftest import HEADER, make_record

NONE = 0xFFFF_FFFF


def names() -> Names:
    return Names.from_header(HEADER)


def line(**parts: Any) -> str:
    return describe(decode(make_record(**parts)), names())


def verdict(reason: int = 0, granted: int = 0, rule: int = 0, mid: int = 0, kind: int = 1) -> Any:
    message = struct.pack("<IHHII", 0, mid, 0, 999, 0)
    args = [kind, 0 | 1 << 32, 5 | 6 << 32, rule | 1 << 32, 0 | 1 << 32]
    return decode(make_record(6, code=reason, value=granted, args=args, data=message))


def test_a_line_has_time_partition_and_what() -> None:
    text = format(decode(make_record(15, tick=1_250_001)), names())
    assert text.split(maxsplit=3) == ["10.000008", "ms", "client", "wait      idle instruction"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (dict(kind=1, partition=0xFFFF, code=1, args=[125_000_000, 2]),
         "boot      2 partitions, 125000000 ticks a second"),
        (dict(kind=2, code=1, value=2, args=[0, 1]), "start     cold-start (hm-restart)"),
        (dict(kind=3, code=3, value=1), "mode      cold-start -> normal"),
        (dict(kind=4, number=18, args=[1, 0x4000_3000, 16]),
         "khs_port_send(port=alarms, message=0x40003000, length=16) -> OK, 0"),
        (dict(kind=4, number=18, code=8, value=2, args=[1, 0x4000_3000, 16]),
         "khs_port_send(port=alarms, message=0x40003000, length=16) -> PARTIAL, 2"),
        (dict(kind=4, number=13, code=NONE, args=[0, 1, 2, 3, 4, 5]),
         "khs_call(port=setpoint, message=0x1, length=2, reply=0x3, capacity=4, timeout_us=5) waits"),
        (dict(kind=4, number=6, code=4, args=[1, 1]),
         "khs_partition_restart(target=server, mode=cold-start) -> INVALID_CONFIG"),
        (dict(kind=4, number=6, code=3, args=[9, 9]),
         "khs_partition_restart(target=partition 9, mode=9) -> INVALID_PARAM"),
        (dict(kind=4, number=99, code=16), "hypercall 0x63() -> UNKNOWN"),
        (dict(kind=5, number=14, value=4, data=b"\1\2\3\4" + struct.pack("<4I", 9, 1, 2, 3)),
         "khs_recv resumes -> OK, 4  01 02 03 04  {token: 9, port: 1, riid: 2, mid: 3}"),
        (dict(kind=4, number=1, args=[0x4000_3000], data=struct.pack("<Q", 12_000)),
         "khs_time_get(time=0x40003000) -> OK  {ns: 12000}"),
        (dict(kind=4, number=1, code=9, args=[0x10]), "khs_time_get(time=0x10) -> BAD_POINTER"),
        (dict(kind=4, number=28, args=[0x10], data=struct.pack("<4IQ128s", 1, 42, 0, 7, 9000, b"too hot")),
         'khs_error_status(status=0x10) -> OK  {error: 1, detail: 42, lost: 0, length: 7, time_ns: 9000, text: "too hot"}'),
        (dict(kind=5, number=14, code=6), "khs_recv resumes -> TIMED_OUT"),
        (dict(kind=7, code=2, args=[0x4000_0014, 0, 0]),
         "fault     write of 0x0: nothing is mapped there, at pc 0x40000014 (main+0x14)"),
        (dict(kind=7, code=2, args=[0x4000_0020, 0x10, 1]),
         "fault     write of 0x10: it has no such right there, at pc 0x40000020"),
        (dict(kind=7, code=8, args=[0x4000_0100, 0, 0x21]), "fault     trap 0x21 at pc 0x40000100 (leave+0x0)"),
        (dict(kind=8, code=4, value=3, args=[1, 1, 0]),
         "health    memory-fault (partition level, running) -> cold-restart"),
        (dict(kind=8, code=1, value=1, args=[0, 1, 7], data=b"too hot\n"),
         "health    application 7 (process level, running) -> log: too hot"),
        (dict(kind=9, code=0), "interrupt timer"),
        (dict(kind=10, code=0, data=b"SET"), "input     uplink  3 bytes: \"SET\""),
        (dict(kind=10, code=0, value=1, data=b"SET"),
         "input     uplink  3 bytes: \"SET\"  LOST: the queue is full, the message too long or the partition idle"),
        (dict(kind=11, data=b"T=21\x1b[31m\n"), "console   T=21\\x1b[31m"),
        (dict(kind=12, partition=0xFFFF, code=1), "schedule  normal -> degraded"),
        (dict(kind=13, partition=0xFFFF, code=1, value=1, args=[1, 6], data=b"\x01"),
         'policy    swapped to relaxed: kept "flow", reset "counters" (types changed), '
         '"guard" (configuration changed), "pool" (no room for its contexts), new "watch", "door", '
         'dropped "old"'),
        (dict(kind=13, partition=0xFFFF, code=NONE, value=1, args=[1, 2], data=b"\x02"),
         'policy    swapped to one passed at run time: kept "object 1", reset "object 0"'),
        (dict(kind=13, partition=0xFFFF, code=1, value=8, args=[2, 9], data=b"\xff"),
         'policy    swapped to relaxed: kept "flow", "counters", "guard", "pool", "watch", "door", '
         '"object 6", "object 7"; of 1 more nothing is told'),
        (dict(kind=13, partition=0xFFFF, code=2, value=0, args=[1, 0]), "policy    swapped to policy 2: no objects"),
        (dict(kind=13, partition=0xFFFF, code=NONE, value=NONE, args=[2, 0, 0]),
         "policy    passed at run time: refused, the old one stays: it is damaged or of another version"),
        (dict(kind=13, partition=0xFFFF, code=1, value=NONE, args=[3, 0, 0]),
         "policy    relaxed: refused, the old one stays: it does not know every class of the system"),
        (dict(kind=13, partition=0xFFFF, code=1, value=NONE, args=[4, 8192, 4096]),
         "policy    relaxed: refused, the old one stays: it needs more state than is reserved (8192 bytes, 4096 are)"),
        (dict(kind=16, code=2), "audit     level 2"),
        (dict(kind=16, code=0, value=3, data=struct.pack("<6I", 0, 0, 0, 7, 3, 5)),
         "audit     level 0: rule 0 denied; rule 7 5; 1 more"),
        (dict(kind=14, partition=0xFFFF, code=3), "stop      the module stops: the policy denied the boot"),
    ],
)  # fmt: skip
def test_every_kind_of_event(parts: dict[str, Any], text: str) -> None:
    assert line(**parts) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (verdict(granted=1), "granted   request demo.Client -> demo.Server setpoint.Set "
         "{temperature: 999}  demo.psl:7: assert(message.temperature <= 300)"),
        (verdict(), "denied    request demo.Client -> demo.Server setpoint.Set {temperature: 999}  "
         "demo.psl:7: assert(message.temperature <= 300)"),
        (verdict(reason=2), "denied    request demo.Client -> demo.Server setpoint.Set "
         "{temperature: 999}  demo.psl:7: could not be evaluated: assert(message.temperature <= 300)"),
        (verdict(reason=1, rule=NONE), "denied    request demo.Client -> demo.Server setpoint.Set "
         "{temperature: 999}  no rule matches; nearest is demo.psl:6, which wants method=Get"),
        (verdict(reason=3, rule=NONE, mid=9), "denied    request demo.Client -> demo.Server "
         "endpoint 0 method 9  the message does not conform to its interface: its header names method "
         "9; endpoint setpoint has 1, from 0 on"),
    ],
)  # fmt: skip
def test_verdicts_say_why(event: Any, text: str) -> None:
    assert describe(event, names()) == text


def test_no_rule_and_none_near() -> None:
    event = verdict(reason=1, rule=NONE, kind=4)  # a security event: no binding of that kind
    assert describe(event, names()).endswith(
        "no rule matches; the policy has no rule for security events"
    )
    event = verdict(reason=1, rule=NONE, kind=0)
    text = "no rule matches; none comes near: no execute rule names anything of this event"
    assert describe(event, names()).endswith(text)
    assert to_json(event, names())["nearest"] is None


def test_a_verdict_belongs_to_the_policy_that_was_in_force() -> None:
    known = names()
    args = [1 | 1 << 32, 0 | 1 << 32, 0, 0, 1 << 32]
    after_swap = decode(make_record(6, value=1, args=args, data=bytes(8)))
    for value, swap in ((NONE, [2, 0, 0]), (2, [1, 2])):  # refused, then accepted
        known.observe(decode(make_record(13, partition=0xFFFF, code=1, value=value, args=swap)))
    assert describe(after_swap, known) == "granted   request client -> server endpoint 0 method 0"


def test_json_has_what_the_kernel_wrote_for_the_guest() -> None:
    info = struct.pack("<IIQ", 3, 1, 500)
    row = to_json(
        decode(make_record(4, number=17, value=3, args=[0] * 4, data=b"abc" + info)), names()
    )
    assert (row["data"], row["info"]) == ("616263", {"length": 3, "valid": 1, "age_ns": 500})
    assert to_json(decode(make_record(4, number=0)), names())["info"] == {}


def test_a_struct_that_is_missing_is_damage() -> None:
    with pytest.raises(TraceError, match="damaged event"):
        decode(make_record(4, number=1, args=[0], data=b"short"))


def test_json_of_a_swap_tells_of_each_object() -> None:
    swap = decode(make_record(13, partition=0xFFFF, code=1, value=1, args=[1, 6], data=b"\1"))
    row = to_json(swap, names())
    assert json.loads(json.dumps(row)) == row
    assert (row["sequence"], row["kept"], row["count"]) == (1, 1, 6)
    assert isinstance(row["objects"], list)
    assert row["objects"][:2] == [
        {"name": "flow", "what": "kept", "why": ""},
        {"name": "counters", "what": "reset", "why": "types changed"},
    ]


def test_a_swap_told_late_still_compares_with_the_policy_before_it() -> None:
    """A summary is printed at the end of a run, when other policies are in force."""
    known = names()
    swaps = [
        decode(make_record(13, partition=0xFFFF, code=code, value=1, args=[number, 6], data=b"\1"))
        for number, code in ((1, 1), (2, 0), (3, 1))
    ]
    for swap in swaps:
        known.observe(swap)
    assert 'reset "counters" (types changed)' in describe(swaps[0], known)


def test_json_names_what_it_can() -> None:
    row = to_json(verdict(reason=1, rule=NONE), names())
    assert json.loads(json.dumps(row)) == row
    assert row["type"] == "verdict"
    assert row["ns"] == 10_000_000
    assert row["source_class"] == "demo.Client"
    assert row["values"] == {"temperature": 999}
    assert row["nearest"] == HEADER["policies"][0]["bindings"][2]
    row = to_json(decode(make_record(4, number=18, code=7, args=[1, 2, 3])), names())
    assert (row["name"], row["code"], row["arguments"]) == ("khs_port_send", "DENIED", [1, 2, 3])


def test_without_names_numbers_are_shown() -> None:
    nameless = Names.from_header({})
    assert describe(verdict(), nameless) == (
        "denied    request partition 0 -> partition 1 endpoint 0 method 0  "
        "denied by a rule of a policy whose text is not known"
    )
    assert describe(verdict(reason=2), nameless).endswith(
        "  a rule of a policy whose text is not known could not be evaluated"
    )
    assert describe(verdict(reason=1, rule=NONE), nameless).endswith("  no rule matches")


DAMAGED_HEADERS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(
        "names partitions ports policies symbols classes rules bindings client name endpoints riid "
        "methods in fields type size offset kind src".split()), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(DAMAGED_HEADERS, st.integers(1, 15), st.lists(st.integers(0, 2**64 - 1), max_size=6),
       st.binary(max_size=24))  # fmt: skip
def test_no_header_and_no_event_breaks_the_text(
    header: object, kind: int, args: list[int], data: bytes
) -> None:
    known = Names.from_header(header if isinstance(header, dict) else {"names": header})
    try:
        event = decode(make_record(kind, args=args, data=data))
    except TraceError:
        return
    known.observe(event)
    assert "\n" not in format(event, known)
    json.dumps(to_json(event, known))
