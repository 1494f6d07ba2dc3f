"""Messages as bytes: what is written is read back, and what does not conform is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kss import layout
from kss.errors import MessageError
from kss.layout import (
    Bytes,
    Direction,
    Handle,
    Sequence,
    String,
    make_message,
    make_struct,
    make_union,
)
from kss.message import decode, defect, encode, header, to_json

from tests.kss.wires import U8, U16, U32, U64, VALUED


@settings(max_examples=60, deadline=None)
@given(VALUED)
def test_what_is_encoded_is_decoded(case: tuple[layout.MessageType, dict[str, Any]]) -> None:
    kinds, given_values = case
    data = encode(kinds, given_values, riid=7, mid=9)
    assert header(data) == (7, 9, Direction.IN)
    assert kinds.size <= len(data) <= kinds.size + kinds.arena
    assert decode(kinds, data) == given_values
    assert encode(kinds, decode(kinds, data), riid=7, mid=9) == data


@settings(max_examples=60, deadline=None)
@given(VALUED, st.data())
def test_hostile_bytes_are_refused_or_read(
    case: tuple[layout.MessageType, dict[str, Any]], data: st.DataObject
) -> None:
    kinds, given_values = case
    message = bytearray(encode(kinds, given_values))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(8, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(0, len(message)))])
    if defect(kinds, cut) is None:
        again = encode(kinds, decode(kinds, cut), limits=False)
        assert decode(kinds, again) == decode(kinds, cut)
    else:
        with pytest.raises(MessageError):
            decode(kinds, cut)


def test_zero_constant_part_is_a_message() -> None:
    kinds = make_message(
        Direction.OUT,
        [("s", String(3)), ("q", Sequence(U64, 2)), ("u", make_union("U", [("a", U8)]))],
    )
    assert encode(kinds, {}) == bytes(6) + b"\1\0" + bytes(kinds.size - 8)
    assert decode(kinds, encode(kinds, {})) == {"s": "", "q": [], "u": {"a": 0}}


def test_canonical_bytes() -> None:
    pair = make_struct("Pair", [("id", U8), ("wide", U64), ("name", String(3))])
    kinds = make_message(Direction.IN, [("raw", Bytes(3)), ("pairs", Sequence(pair, 2))])
    assert (pair.size, pair.align, kinds.size, kinds.arena) == (24, 8, 24, 3 + 2 * (24 + 4))
    data = encode(kinds, {"raw": b"abc", "pairs": [{"id": 1, "wide": 2, "name": "x"}]}, riid=1)
    assert data.hex(" ", -4) == (
        "01000000 00000000 18000000 03000000 00000000 18000000"  # raw after pairs
        " 01000000 00000000 02000000 00000000 1b000000 02000000 61626378 00"
    )


SPANS = make_message(Direction.IN, [("b", Bytes(4)), ("s", String(4)), ("q", Sequence(U32, 2))])


@pytest.mark.parametrize(
    ("offset", "word", "arena", "good"),
    [
        (8, (0, 0), b"", True),
        (8, (4, 0), bytes(4), True),
        (8, (5, 0), bytes(4), False),
        (8, (0, 4), bytes(4), True),
        (8, (0, 5), bytes(5), False),
        (8, (1, 4), bytes(4), False),
        (8, (0xFFFFFFFF, 2), bytes(4), False),
        (8, (2, 0xFFFFFFFF), bytes(4), False),
        (16, (0, 1), b"\0", True),
        (16, (0, 5), b"abcd\0", True),
        (16, (0, 5), b"abcde", False),
        (16, (0, 6), b"abcde\0", False),
        (16, (0, 3), b"a\0\0", False),
        (16, (0, 2), b"\0\0", False),
        (24, (0, 8), bytes(8), True),
        (24, (4, 4), bytes(8), True),
        (24, (2, 4), bytes(8), False),
        (24, (2, 0), bytes(8), False),
        (24, (0, 6), bytes(8), False),
        (24, (0, 12), bytes(12), False),
        (8, (0, 0), bytes(SPANS.arena), True),
        (8, (0, 0), bytes(SPANS.arena + 1), False),
    ],
)
def test_spans(offset: int, word: tuple[int, int], arena: bytes, good: bool) -> None:
    data = bytearray(SPANS.size) + arena
    for at, value in zip((offset, offset + 4), word, strict=True):
        data[at : at + 4] = value.to_bytes(4, "little")
    assert (defect(SPANS, bytes(data)) is None) is good


def test_union_tags() -> None:
    kinds = make_message(Direction.IN, [("u", make_union("U", [("a", U64), ("b", String(2))]))])
    assert (kinds.fields[0].offset, kinds.fields[0].size) == (8, 16)
    for tag, good in [(0, True), (1, True), (2, False), (0xFFFFFFFF, False)]:
        data = bytes(8) + tag.to_bytes(4, "little") + bytes(12)
        assert (defect(kinds, data) is None) is good
    # what lies behind a member that is not present is not looked at
    assert defect(kinds, bytes(16) + b"\xff" * 8) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"n": 256}, "n: 256 does not fit UInt8"),
        ({"n": -1}, "n: -1 does not fit UInt8"),
        ({"n": True}, "n: expected an integer"),
        ({"x": 1}, "x: no such field; the fields are: b, h, n, q, s, u"),
        ({"s": "abcd"}, "s: 4 bytes do not fit string<3>"),
        ({"s": "a\0"}, "s: a string holds no zero byte"),
        ({"s": b"a"}, "s: expected text"),
        ({"b": "abc"}, "b: expected bytes or an even number of hex digits"),
        ({"b": 5}, "b: expected bytes"),
        ({"q": [1, 2, 3]}, "q: 3 elements, at most 2"),
        ({"q": [1, "x"]}, "q[1]: expected an integer"),
        ({"q": "ab"}, "q: expected a list"),
        ({"h": 1}, "h: expected an object"),
        ({"u": {"a": 1, "c": 2}}, "u: expected an object with one of: a, c"),
        ({"u": {"z": 1}}, "u.z: no such field"),
    ],
)
def test_values_that_do_not_fit(value: dict[str, Any], words: str) -> None:
    union = make_union("U", [("a", U8), ("c", U8)])
    kinds = make_message(
        Direction.IN,
        [
            ("n", U8),
            ("s", String(3)),
            ("b", Bytes(3)),
            ("q", Sequence(U16, 2)),
            ("h", Handle()),
            ("u", union),
        ],
    )
    with pytest.raises(MessageError) as error:
        encode(kinds, value)
    assert words in str(error.value)


def test_values_as_json() -> None:
    shown = to_json({"b": b"\1\2", "q": [{"x": b""}], "n": 1})
    assert shown == {"b": "0102", "q": [{"x": ""}], "n": 1}
    kinds = make_message(Direction.IN, [("b", Bytes(2))])
    assert encode(kinds, {"b": "0aFF"})[-2:] == b"\x0a\xff"


def test_a_text_that_is_too_long_is_counted_as_its_writer_does() -> None:
    """Without its zero, also where the whole arena is too small for it."""
    union = make_union("U", [("n", U32), ("text", String(10))])
    for fields in ([("u", union)], [("u", union), ("more", Bytes(90))]):
        kinds = make_message(Direction.IN, fields)
        data = encode(kinds, {"u": {"text": "x" * 15}}, limits=False)
        assert defect(kinds, data) == "u.text: a text of 15 bytes, at most 10"
    kinds = make_message(Direction.IN, [("n", U32)])
    assert defect(kinds, encode(kinds, {}) + b"x") == "1 bytes of arena, at most 0"


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    kinds = make_message(Direction.IN, [("s", String(9))])
    with pytest.raises(MessageError, match=r"^s: U\+D800, half of a surrogate pair, is no char"):
        encode(kinds, {"s": "a\ud800"})
    assert decode(kinds, encode(kinds, {"s": "a\udc80"})) == {"s": "a\udc80"}  # byte 0x80
