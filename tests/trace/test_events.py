"""Raw records decode to typed events; damaged ones say where."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khs.errors import TraceError
from khs.trace import decode, events, kinds, split

from .conftest import make_record

CORE = Path(__file__).parents[2] / "khs/core"


def c_enum(header: Path, name: str) -> dict[str, int]:
    """Names and values of a C enumeration; later values count on."""
    body = re.search(rf"enum {name} {{(.*?)}};", header.read_text(), re.DOTALL)
    assert body is not None, name
    text = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    values: dict[str, int] = {}
    following = 0
    for item in (part.strip() for part in text.split(",")):
        if item:
            key, _, value = item.partition("=")
            following = int(value, 0) if value else following
            values[key.strip()] = following
            following += 1
    return values


@pytest.mark.parametrize(
    ("header", "name", "prefix", "words"),
    [
        ("event.h", "khs_event_type", "KHS_EV_", kinds.EventType),
        ("event.h", "khs_fault", "KHS_FAULT_", kinds.FaultKind),
        ("event.h", "khs_stop_cause", "KHS_STOP_", kinds.StopCause),
        ("config.h", "khs_error", "KHS_ERROR_", kinds.HealthError),
        ("config.h", "khs_hm_action", "KHS_", kinds.HealthAction),
        ("config.h", "khs_level", "KHS_LEVEL_", kinds.Level),
        ("config.h", "khs_system_state", "KHS_", kinds.State),
        ("../../monitor/vm/kss.h", "kss_kind", "KSS_", kinds.SecurityEvent),
        ("../../monitor/vm/kss.h", "kss_reason", "KSS_", kinds.Reason),
    ],
)
def test_words_are_the_kernels(
    header: str, name: str, prefix: str, words: type[kinds.Word]
) -> None:
    wanted = {
        key.removeprefix(prefix).removeprefix("BY_"): value
        for key, value in c_enum(CORE / header, name).items()
        if not re.fullmatch(r"KHS_(ERRORS|HM_ACTIONS|LEVELS|STATES)|KSS_KINDS", key)
    }
    assert {word.name: word.value for word in words} == wanted


def test_layout_is_the_kernels() -> None:
    text = (CORE / "event.h").read_text()
    assert f"#define KHS_TRACE_VERSION {events.VERSION}u" in text
    assert f"#define KHS_EVENT_MODULE_BYTES {events.MODULE_BYTES}u" in text
    assert f"#define KHS_EVENT_ARGS_MAX {events.ARGUMENTS_MAX}u" in text
    assert f"#define KHS_V_TRIAL {events.TRIAL:#x}u" in text
    struct = re.search(r"typedef struct khs_event {(.*?)} khs_event;", text, re.DOTALL)
    assert struct is not None
    fields = re.findall(r"^\s*uint(\d+)_t (\w+);", struct[1], re.MULTILINE)
    assert [name for _, name in fields] == (
        "tick size partition flags local type number code value args pad data pad2".split()
    )
    assert sum(int(bits) // 8 for bits, _ in fields) == events.HEAD_SIZE


def test_verdict_decodes_every_part() -> None:
    args = [
        1 | events.TRIAL | 3 << 32,
        4 | 5 << 32,
        6 | 7 << 32,
        8 | 2 << 32,
        0 | events.NONE << 32,
    ]
    event = decode(make_record(6, code=0, value=1, args=args, data=b"12345678"))
    assert event == events.Verdict(
        1_250_000, 0, True, 0, event=kinds.SecurityEvent.REQUEST, trial=True, granted=True,
        reason=kinds.Reason.RULES, sequence=3, source_class=4, destination_class=5, source_sid=6,
        destination_sid=7, source=0, destination=None, rule=8, calls=2, message=b"12345678",
    )  # fmt: skip


def test_module_events_have_no_partition() -> None:
    event = decode(make_record(14, partition=0xFFFF, visible=False, code=2))
    assert event == events.Stop(1_250_000, None, False, 0, kinds.StopCause.HEALTH)


def test_a_blocked_hypercall_has_no_code() -> None:
    event = decode(make_record(4, number=14, code=events.NONE, args=[1, 2, 3, 4]))
    assert isinstance(event, events.Hypercall)
    assert event.code is None
    assert event.arguments == (1, 2, 3, 4)


def test_split_gives_whole_records() -> None:
    records = [make_record(15), make_record(11, data=b"hello"), make_record(15)]
    assert [bytes(part) for part in split(b"".join(records))] == records
    with pytest.raises(TraceError, match="offset 148"):
        list(split(b"".join(records)[:-1], base=44))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: r[:40], "cut short"),
        (lambda r: r[:8] + b"\x39" + r[9:], "sizes do not agree"),
        (lambda r: r[:36] + b"\x07" + r[37:], "sizes do not agree"),
        (lambda r: r[:40] + b"\xff" + r[41:], "sizes do not agree"),
        (lambda r: r[:24] + b"\x63" + r[25:], "unknown or damaged event"),
        (lambda r: r[:28] + b"\x63" + r[29:], "unknown or damaged event"),
    ],
)
def test_damage_is_named_with_its_offset(damage: object, message: str) -> None:
    whole = make_record(7, code=1, args=[1, 2, 3])
    assert callable(damage)
    with pytest.raises(TraceError, match=f"offset 99: .*{message}"):
        decode(damage(whole), 99)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(TraceError):
        decode(data)


@given(st.integers(0, 20), st.lists(st.integers(0, 2**64 - 1), max_size=6), st.binary(max_size=40),
       st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))  # fmt: skip
def test_any_content_decodes_or_is_refused(
    kind: int, args: list[int], data: bytes, code: int, value: int
) -> None:
    record = make_record(kind, args=args, data=data, code=code, value=value)
    with contextlib.suppress(TraceError):
        assert decode(record).tick == 1_250_000
