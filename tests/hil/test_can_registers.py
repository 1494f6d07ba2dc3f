"""Registers of FlexCAN and SJA1000 as their manuals have them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from khs.hil.frames import THERE, Frame
from tests.hil.can_guests import (
    BIT,
    FLEXCAN,
    SJA1000,
    Left,
    Op,
    Read,
    Wait,
    Write,
    flexcan_boxes,
    flexcan_frames,
    flexcan_on,
    flexcan_send,
    length,
    made,
    play,
    sja1000_on,
    sja1000_send,
)
from tests.hil.registers import Kind

RUN = [0x3003F, 0x5003003F]
FREEZE = 0x5000_0000


def alone(kind: Kind, ops: Sequence[Op], said: Sequence[Frame] = (), ticks: int = 400_000) -> Left:
    """One driver, and a node outside that acknowledges; `said` comes from there."""
    data = THERE + b"".join(frame.record for frame in said)
    return play(kind, made(kind, [ops]), [(0, ticks)], [(0, 0, data)])


def read(kind: Kind, ops: Sequence[Op], said: Sequence[Frame] = ()) -> list[int]:
    return alone(kind, ops, said).read[0]


# ---- FlexCAN -------------------------------------------------------------------------------


def test_flexcan_begins_as_its_manual_says() -> None:
    offsets = {0: 0x5980000F, 4: 0, 0x10: 0xFFFFFFFF, 0x14: 0xFFFFFFFF, 0x18: 0xFFFFFFFF,
               0x1C: 0, 0x24: 0, 0x28: 0, 0x2C: 0, 0x30: 0, 0x34: 0xB00000, 0x48: 0xFFFFFFFF}  # fmt: skip
    ops = [Read(offset) for offset in offsets]
    assert read(FLEXCAN, ops) == list(offsets.values())


def test_flexcan_modes_are_acknowledged() -> None:
    ops = [Write(0, 0), Read(0), Write(0, FREEZE), Read(0), Write(0, 1 << 31), Read(0)]
    ops += [Write(0, FREEZE), Write(0, 0x5200_0000), Read(0)]
    running, frozen, disabled, reset = read(FLEXCAN, ops)
    bits = {"not ready": 27, "frozen": 24, "disabled": 20}
    told = [{name for name, bit in bits.items() if word >> bit & 1}
            for word in (running, frozen, disabled)]  # fmt: skip
    assert told == [set(), {"not ready", "frozen"}, {"not ready", "disabled"}]
    assert reset == 0x5980000F


def test_flexcan_settings_are_for_freeze_mode() -> None:
    ops = [
        Write(0, 0xF),
        Write(4, 0xFFFFFFFF),
        Read(4),
        Write(0x10, 1),
        Read(0x10),
        Write(0x880, 5),
    ]
    ops += [Read(0x880), Write(0, 0x3F), Read(0)]
    control, mask, individual, module = read(FLEXCAN, ops)
    assert control == 0xCC40  # the interrupts' masks, and BOFF_REC
    assert mask == 0xFFFFFFFF
    assert individual == 0
    assert module & 0x7F == 0xF


def test_flexcan_lowest_box_or_lowest_identifier_first() -> None:
    sends = [
        op
        for box, number in ((50, 0x10), (40, 0x30), (45, 0x20))
        for op in flexcan_send(box, Frame(number))
    ]
    for control, wanted in ((0, [0x10, 0x20, 0x30]), (1 << 4, [0x30, 0x20, 0x10])):
        head = flexcan_on(2 << 24 | 2 << 19 | 2 << 16 | 2 | control)
        ops = [*head, *flexcan_send(60, Frame(0, bytes(8))), *sends, Wait(1000)]
        sent = [frame.id for frame in alone(FLEXCAN, ops).frames]
        assert sent == [0, *wanted]


def test_flexcan_abort() -> None:
    """What waits is given up at once; what is on the bus is sent."""
    module = 0x3103F  # AEN
    ops = [*flexcan_on(module=module), *flexcan_send(40, Frame(1)), *flexcan_send(41, Frame(2))]
    ops += [Write(0x80 + 16 * 40, 9 << 24), Write(0x80 + 16 * 41, 9 << 24), Read(0x2C)]
    ops += [Read(0x80 + 16 * 41), Wait(20_000), Read(0x2C), Read(0x80 + 16 * 40)]
    left = alone(FLEXCAN, ops)
    early, aborted, late, sent = left.read[0]
    assert left.frames == [Frame(1)]
    assert (early, late) == (1 << 9, 1 << 9 | 1 << 8)
    assert (aborted >> 24, sent >> 24) == (9, 8)


def test_flexcan_masks() -> None:
    """RXIMR, or the global mask with two of their own."""
    said = [Frame(0x120), Frame(0x12F), Frame(0x130)]
    ops: list[Op] = [Write(0, FREEZE), Write(0, FREEZE | 0x3000F), Write(4, 2 << 24 | 0x120002)]
    ops += [Write(0x880, 0x7F0 << 18), Write(0x80, 4 << 24), Write(0x84, 0x120 << 18)]
    ops += [Write(0x890, 0x7FF << 18), Write(0xC0, 4 << 24), Write(0xC4, 0x130 << 18)]
    ops += [
        Write(0, 0x3000F),
        Wait(60_000),
        Read(0x80),
        Read(0x84),
        Read(0xC0),
        Read(0xC4),
        Read(0x30),
    ]
    first, number, second, other, flags = read(FLEXCAN, ops, said)
    assert (first >> 24, number >> 18) == (6, 0x12F)  # overrun: nobody read 0x120
    assert (second >> 24, other >> 18) == (2, 0x130)
    assert flags == 0b10001
    ops[1] = Write(0, FREEZE | 0x2000F)  # IRMQ off
    ops[3], ops[6] = Write(0x10, 0), Write(0x14, 0)
    ops[-7] = Write(0, 0x2000F)
    first, number = read(FLEXCAN, ops, said)[:2]
    assert (first >> 24, number >> 18) == (6, 0x130)


def test_flexcan_overruns_are_counted_and_a_box_that_was_read_is_free() -> None:
    ops: list[Op] = [Write(0, FREEZE), Write(0, FREEZE | 0x30000), Write(4, 2 << 24 | 0x120002)]
    ops += [Write(0x880, 0), Write(0x80, 4 << 24), Write(0, 0x30000)]
    said = [Frame(number) for number in (1, 2, 3)]
    unread = alone(FLEXCAN, [*ops, Wait(60_000), Read(0x80), Read(0x84)], said)
    assert (unread.read[0][0] >> 24, unread.read[0][1] >> 18) == (6, 3)
    assert unread.counts[0]["overruns"] == 2
    one = length(Frame(1)) * BIT // 2
    reads = [op for _ in range(3) for op in (Wait(one + 800), Read(0x80), Read(0x84), Read(8))]
    served = alone(FLEXCAN, [*ops, *reads], said)
    assert [word >> 18 for word in served.read[0][1::3]] == [1, 2, 3]
    assert [word >> 24 for word in served.read[0][0::3]] == [2, 2, 2]
    assert served.counts[0]["overruns"] == 0


def test_flexcan_remote_frames_are_answered_or_stored() -> None:
    asks = Frame(0x123, remote=True, size=3)
    box = 0x80 + 16 * 30
    ready = [
        Write(box + 4, 0x123 << 18),
        Write(box + 8, 0x41424300),
        Write(box, 10 << 24 | 3 << 16),
    ]
    left = alone(FLEXCAN, [*flexcan_on(), *ready, Wait(60_000), Read(box)], [asks])
    assert left.frames == [Frame(0x123, b"ABC")]
    assert left.read[0][0] >> 24 == 10
    stores = flexcan_on()
    stores.insert(1, Write(0x34, 0xB20000))  # RRS
    ops = [*stores, Wait(60_000), *flexcan_boxes([0])]
    assert flexcan_frames(read(FLEXCAN, ops, [asks]))[0][2] == asks


def test_flexcan_fifo() -> None:
    """Six frames, one after the other in mailbox 0; then it overflows, and says so."""
    ops: list[Op] = [Write(0, FREEZE), Write(0, FREEZE | 0x2002_0008), Write(4, 2 << 24 | 0x120002)]
    ops += [Write(0x48, 0xFFFFFFFF), *(Write(0xE0 + 4 * i, 0x7FF << 19) for i in range(8))]
    ops += [Write(0xE4, 0x1234567 << 1 | 1 << 30), Write(0xE8, 0x123 << 19), Write(0x28, 1 << 5)]
    ops += [Write(0, 0x2002_0008), Wait(90_000), Read(0x30)]
    for _ in range(6):
        ops += [Read(0x4C), *(Read(0x80 + 4 * i) for i in range(3)), Write(0x30, 1 << 5)]
    said = [Frame(0x123, bytes([n])) for n in range(3)] + [Frame(0x124)]
    said += [Frame(0x1234567, b"ext", True)] + [Frame(0x123, bytes([n])) for n in range(4)]
    left = alone(FLEXCAN, [*ops, Read(0x30)], said, ticks=500_000)
    flags, *rows = left.read[0]
    assert flags == 1 << 5 | 1 << 6 | 1 << 7
    numbers = [rows[4 * i + 2] for i in range(6)]
    assert numbers == [0x123 << 18] * 3 + [0x1234567] + [0x123 << 18] * 2
    assert [rows[4 * i] for i in range(6)] == [2, 2, 2, 1, 2, 2]  # the filter that hit
    assert [rows[4 * i + 3] >> 24 for i in range(6)] == [0, 1, 2, ord("e"), 0, 1]
    assert rows[-1] == 1 << 6 | 1 << 7
    assert left.counts[0]["overruns"] == 2


def test_flexcan_loops_back_and_no_wire_shows_it() -> None:
    ops = [*flexcan_on(2 << 24 | 0x120002 | 1 << 12, 0x1003F), *flexcan_send(40, Frame(7, b"me"))]
    nodes = made(
        FLEXCAN,
        [[*ops, Wait(20_000), *flexcan_boxes([0])], [*flexcan_on(), Wait(9), *flexcan_boxes([0])]],
    )
    left = play(FLEXCAN, nodes, [(1, 500), (0, 100_000), (1, 3000)])
    assert left.sent == b""
    assert [row[2] for row in flexcan_frames(left.read[0])] == [Frame(7, b"me")]
    assert flexcan_frames(left.read[1]) == []


def test_flexcan_listens_only() -> None:
    """It hears what others acknowledge; alone with a sender it lets it fail."""
    listens = [*flexcan_on(2 << 24 | 0x120002 | 1 << 3), Wait(30_000), *flexcan_boxes([0])]
    sends = [*flexcan_on(), *flexcan_send(40, Frame(9)), Wait(30_000), Read(0x1C)]
    left = play(FLEXCAN, made(FLEXCAN, [sends, listens]), [(1, 1000), (0, 80_000), (1, 90_000)])
    assert left.frames == []
    assert (
        left.read[0] == [8 * (80_000 // (BIT * (length(Frame(9)) + 19)))] or left.read[0][0] >= 64
    )
    assert flexcan_frames(left.read[1]) == []


def test_flexcan_interrupts_come_in_its_owners_windows() -> None:
    ops = [*flexcan_on(), Write(0x28, 1), Wait(60_000)]
    inputs = [(0, 0, THERE + Frame(1).record)]
    windows = [(0, 500), (1, 50_000), (0, 100_000)]
    from tests.hil.registers import script

    code, ticks = script(FLEXCAN, ops, [Write(0x30, 1)])
    idle = made(FLEXCAN, [[Wait(1)]])
    left = play(FLEXCAN, [(code, ticks, 0), *idle], windows, inputs)
    assert left.interrupts == [(0, 50_500)]


# ---- SJA1000 -------------------------------------------------------------------------------


def test_sja1000_begins_in_reset_mode() -> None:
    ops = [Read(offset) for offset in (0, 2, 3, 4, 13, 14, 15, 29)]
    assert read(SJA1000, ops) == [1, 0x0C, 0, 0, 96, 0, 0, 0]


def test_sja1000_settings_are_for_reset_mode() -> None:
    ops = [
        *sja1000_on(),
        Write(6, 0x3F),
        Read(6),
        Write(13, 5),
        Read(13),
        Write(0, 9),
        Write(6, 0x3F),
        Read(6),
    ]
    assert read(SJA1000, ops) == [0, 96, 0x3F]


ONE, TWO = 8, 0
FILTERS = [
    # mode, codes, masks (a set bit does not matter), frame, passes
    (ONE, [0x24, 0x60, 0, 0], [0, 0x0F, 0xFF, 0xFF], Frame(0x123), True),
    (ONE, [0x24, 0x60, 0, 0], [0, 0x0F, 0xFF, 0xFF], Frame(0x122), False),
    (ONE, [0x24, 0x60, 0, 0], [0, 0x0F, 0xFF, 0xFF], Frame(0x123, remote=True, size=0), False),
    (ONE, [0x24, 0x60, 0x55, 0xAA], [0, 0x0F, 0, 0], Frame(0x123, b"\x55\xaa\x01"), True),
    (ONE, [0x24, 0x60, 0x55, 0xAA], [0, 0x0F, 0, 0], Frame(0x123, b"\x55\xab"), False),
    (ONE, [0x24, 0x60, 0x55, 0xAA], [0, 0x0F, 0, 0], Frame(0x123), True),
    (ONE, [0x91, 0xA2, 0xB3, 0xC0], [0, 0, 0, 3], Frame(0x12345678, b"", True), True),
    (ONE, [0x91, 0xA2, 0xB3, 0xC0], [0, 0, 0, 3], Frame(0x12345679, b"", True), False),
    (TWO, [0x24, 0x60, 0xFF, 0xE0], [0, 0x0F, 0, 0x0F], Frame(0x123), True),
    (TWO, [0x24, 0x60, 0xFF, 0xE0], [0, 0x0F, 0, 0x0F], Frame(0x7FF), True),
    (TWO, [0x24, 0x60, 0xFF, 0xE0], [0, 0x0F, 0, 0x0F], Frame(0x7FE), False),
    (TWO, [0x24, 0x65, 0xFF, 0xE6], [0, 0, 0, 0], Frame(0x123, b"\x56"), True),
    (TWO, [0x24, 0x65, 0xFF, 0xE6], [0, 0, 0, 0], Frame(0x123, b"\x57"), False),
    (TWO, [0x24, 0x65, 0xFF, 0xE6], [0, 0, 0, 0], Frame(0x7FF, b"\x99"), True),
    (TWO, [0x91, 0xA2, 0, 0], [0, 0, 0, 0], Frame(0x12345678, b"", True), True),
    (TWO, [0, 0, 0x91, 0xA2], [0, 0, 0, 0], Frame(0x12345FFF, b"", True), True),
    (TWO, [0, 0, 0x91, 0xA2], [0, 0, 0, 0], Frame(0x1235FFFF, b"", True), False),
]  # fmt: skip


@pytest.mark.parametrize("row", FILTERS)
def test_sja1000_filters(row: tuple[int, list[int], list[int], Frame, bool]) -> None:
    mode, codes, masks, frame, passes = row
    ops = [op for op in sja1000_on(mode) if not (isinstance(op, Write) and 16 <= op.offset < 24)]
    ops[4:4] = [Write(16 + i, byte) for i, byte in enumerate([*codes, *masks])]
    assert read(SJA1000, [*ops, Wait(20_000), Read(29)], [frame]) == [int(passes)]


def test_sja1000_overrun() -> None:
    """64 bytes are 4 frames of 13, and one of 11; the next is lost until the driver has cleared it."""
    said = [Frame(n, bytes(8), True) for n in range(4)] + [Frame(1, bytes(8)), Frame(2), Frame(3)]
    ops = [
        *sja1000_on(),
        Wait(130_000),
        Read(29),
        Read(2),
        Read(3),
        Write(1, 12),
        Read(29),
        Read(2),
    ]
    left = alone(SJA1000, [*ops, Read(30)], said, ticks=600_000)
    count, status, interrupts, fewer, cleared, start = left.read[0]
    assert (count, fewer, start) == (5, 4, 13)
    assert (status & 3, cleared & 3) == (3, 1)
    assert interrupts == 0x01 | 0x08
    assert left.counts[0]["overruns"] == 2


def test_sja1000_lost_arbitration_tells_the_bit() -> None:
    """Identifiers that differ in their fourth bit: 0x080 has a 0 there."""
    sends = [
        *sja1000_on(),
        Wait(1500),
        *sja1000_send(Frame(0)),
        Wait(30_000),
        Read(3),
        Read(11),
        Read(11),
    ]
    other = [
        *sja1000_on(),
        *sja1000_send(Frame(0x000, b"\0" * 8)),
        Wait(30_000),
        *sja1000_send(Frame(0x680)),
    ]
    loser = [*sja1000_on(), Wait(1), *sja1000_send(Frame(0x780)), Wait(90_000), Read(3), Read(11)]
    nodes = made(
        SJA1000, [other, [*sja1000_on(), Wait(1), *sja1000_send(Frame(0x700)), Wait(20)], loser]
    )
    windows = [(1, 40), (2, 40), (0, 200), (1, 300), (2, 100_000), (0, 1000), (2, 200_000)]
    left = play(SJA1000, nodes, windows)
    assert left.frames[0] == Frame(0, bytes(8))
    assert [frame.id for frame in left.frames[1:3]] == [0x700, 0x780]
    interrupts, bit = left.read[2]
    assert interrupts & 0x40
    assert bit == 3
    del sends


def test_sja1000_single_shot_and_self_test() -> None:
    ops = [
        *sja1000_on(),
        *sja1000_send(Frame(5), 3),
        Wait(20_000),
        Read(2),
        Read(15),
        Read(12),
        Read(3),
    ]
    left = play(SJA1000, made(SJA1000, [ops]), [(0, 200_000)])
    status, errors, code, interrupts = left.read[0]
    assert left.frames == []
    assert (status & 0x0C, errors, code) == (4, 8, 0xD9)  # free, not complete
    assert interrupts & 0x82 == 0x82
    ops = [
        *sja1000_on(8 | 4),
        *sja1000_send(Frame(5, b"s"), 0x10),
        Wait(20_000),
        Read(2),
        Read(29),
        Read(19),
    ]
    left = play(SJA1000, made(SJA1000, [ops]), [(0, 200_000)])
    assert left.frames == [Frame(5, b"s")]
    assert (left.read[0][0] & 0x0D, *left.read[0][1:]) == (0x0D, 1, ord("s"))


def test_sja1000_bus_off_and_back() -> None:
    """255 errors written, and 128 times 11 bits until it is on again; nothing is heard meanwhile."""
    ops = [
        Write(31, 0xC0),
        *sja1000_on()[:-1],
        Write(15, 255),
        Write(0, 8),
        Read(0),
        Read(2),
        Read(15),
    ]
    ops += [
        Write(0, 8),
        Read(2),
        Wait(128 * 11 * BIT // 2 - 100),
        Read(2),
        Wait(400),
        Read(2),
        Read(15),
    ]
    left = play(SJA1000, made(SJA1000, [ops]), [(0, 400_000)])
    mode, off, counted, leaving, still, back, none = left.read[0]
    assert (mode & 1, off >> 7, counted) == (1, 1, 127)
    assert (leaving >> 7, still >> 7, back >> 7, none) == (1, 1, 0, 0)


def test_sja1000_levels_of_errors() -> None:
    """Alone: a warning at 96, passive at 128, both with an interrupt."""
    ops = [
        *sja1000_on(),
        *sja1000_send(Frame(5)),
        Wait(18 * 60 * BIT // 2 + 30_000),
        Read(3),
        Read(15),
        Read(2),
    ]
    left = play(SJA1000, made(SJA1000, [ops]), [(0, 400_000)])
    interrupts, errors, status = left.read[0]
    assert interrupts & 0xA4 == 0xA4
    assert errors == 128
    assert status & 0x40
