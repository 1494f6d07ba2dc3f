"""Packets in and out of a stream of bytes, however it is cut and whatever is in it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khs.debug.rsp.framing import (
    PACKET_MOST,
    Framer,
    MalformedError,
    Packet,
    Signal,
    escape,
    failure,
    frame,
    number,
    unescape,
    unhex,
)

SIGNALS = st.sampled_from([Signal.ACK, Signal.NAK, Signal.INTERRUPT])
ITEMS = st.lists(st.one_of(st.binary(max_size=200).map(Packet), SIGNALS), max_size=12)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def sent(item: Packet | Signal) -> bytes:
    return item.value if isinstance(item, Signal) else frame(escape(item.payload))


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(at)]


@given(ITEMS, CUTS)
def test_what_was_sent_arrives_however_it_is_cut(
    items: list[Packet | Signal], cuts: list[int]
) -> None:
    framer, found = Framer(), []
    for piece in pieces(b"".join(map(sent, items)), cuts):
        found += framer.feed(piece)
    assert found == items


@given(st.lists(st.binary(max_size=80), max_size=10), st.binary(max_size=40))
def test_after_any_garbage_a_packet_is_found_again(garbage: list[bytes], payload: bytes) -> None:
    """The first one may be lost to a packet that never ended; it is asked for again then."""
    framer = Framer()
    for piece in garbage:
        for item in framer.feed(piece):
            assert isinstance(item, Packet | Signal)
    whole = frame(escape(payload))
    found = [item for _ in range(3) for item in framer.feed(whole)]
    assert found[-1] == Packet(payload)
    assert found[0] in (Packet(payload), Signal.DAMAGED) or not garbage


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_is_noticed(payload: bytes, at: int, change: int) -> None:
    """A sum of bytes finds any one byte that is another one."""
    whole = bytearray(frame(escape(payload)))
    place = 1 + at % (len(whole) - 4)
    whole[place] ^= change
    found = Framer().feed(bytes(whole) + b"$#00")
    assert Packet(payload) not in found


def test_a_packet_that_is_too_long_is_damage_and_takes_no_room() -> None:
    framer = Framer()
    assert framer.feed(b"$" + bytes(PACKET_MOST)) == []
    for _ in range(100):
        assert framer.feed(bytes(PACKET_MOST)) == []
    assert len(framer._held) <= PACKET_MOST + 4
    assert framer.feed(b"#00" + frame(b"?")) == [Signal.DAMAGED, Packet(b"?")]


def test_an_interrupt_within_a_packet_is_its_content() -> None:
    assert Framer().feed(frame(b"X0,1:\x03")) == [Packet(b"X0,1:\x03")]


@given(st.binary(max_size=200))
def test_escapes_are_undone(data: bytes) -> None:
    assert unescape(escape(data)) == data
    assert not set(b"#$*").intersection(escape(data))


def test_an_escape_without_its_byte_is_damage() -> None:
    assert unescape(b"ab}") is None
    assert unescape(b"}}") == bytes([ord("}") ^ 0x20])
    assert Framer().feed(frame(b"ab}")) == [Signal.DAMAGED]


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_are_read(value: int) -> None:
    assert number(b"%x" % value) == value


@pytest.mark.parametrize(
    "text", [b"", b"-1", b"0x1", b"g", b" 1", b"1_0", b"1" * 33, b"1" + b"0" * 16]
)
def test_what_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        number(text)


@pytest.mark.parametrize("text", [b"1", b"0g", b"00 11", b"\xff\xff"])
def test_what_are_no_digits_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        unhex(text)


@given(st.text(max_size=60))
def test_a_refusal_fits_into_a_packet(text: str) -> None:
    (item,) = Framer().feed(frame(failure(text)))
    assert isinstance(item, Packet) and item.payload.startswith(b"E.")
