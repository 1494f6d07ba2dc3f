"""Errors that destroy frames: counters, error passive, bus-off and the ways back, at their ticks."""

from __future__ import annotations

import pytest

from khs.hil.frames import THERE, ErrorKind, Frame, bus_error
from tests.hil.can_guests import (
    BIT,
    FLEXCAN,
    INTERMISSION,
    RX,
    SJA1000,
    TAIL,
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
from tests.host.windows import cut

FRAME = Frame(0x55, b"z")
#: From its start to the error behind its control field, and to when the bus is idle again: flag and
#: delimiter of the error, intermission.
STRUCK, AGAIN = 20, 20 + 6 + 8 + 3
SEQUENCE, SEQUENCES = 11, 128
CONTROL = 2 << 24 | 2 << 19 | 2 << 16 | 2
ECR, ESR = 0x1C, 0x20


def wait(bits: int) -> Wait:
    """A loop of two instructions."""
    return Wait(bits * BIT // 2)


def errors(count: int, kind: ErrorKind = "bit1") -> bytes:
    return bus_error(kind) * count


def begun(ops: list[object], own: list[int], command: object) -> int:
    """The tick at which the last such access starts a frame."""
    accesses = [op for op in ops if not isinstance(op, Wait)]
    return own[len(accesses) - 1 - accesses[::-1].index(command)]


SEND = flexcan_send(40, FRAME)
GOES = [*flexcan_on(), *SEND]


@pytest.mark.parametrize("window", [5000, 400_000])
@pytest.mark.parametrize(
    ("count", "counted", "level"), [(1, 8, 0), (15, 120, 0), (16, 128, 1), (31, 248, 1)]
)
def test_a_sender_counts_eight_each(count: int, counted: int, level: int, window: int) -> None:
    """And one less for the frame that then gets through, at its tick."""
    ops = [*GOES, wait(count * AGAIN), Read(ECR), wait(200), Read(ECR), Read(ESR)]
    (node,) = made(FLEXCAN, [ops])
    start = begun(ops, node[1], SEND[-1])  # type: ignore[arg-type]
    end = start + (count * AGAIN + length(FRAME) + TAIL) * BIT
    windows = [(0, part) for part in cut(400_000, window)]
    inputs = [(0, 0, THERE + errors(count))]
    left = play(FLEXCAN, [node], windows, inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]
    before, after, status = left.read[0]
    assert (before, after) == (counted, counted - 1)
    assert status >> 4 & 3 == (level if counted > 128 else 0)


@pytest.mark.parametrize("window", [5000, 600_000])
def test_flexcan_comes_back_by_itself(window: int) -> None:
    """32 errors are bus-off; 128 times 11 bits later, its own error's end being the first, it has no
    errors, and sends what still waits."""
    off = wait(32 * AGAIN)
    ops = [*GOES, off, Read(ESR), Read(ECR), wait(64 * SEQUENCE), Read(ECR)]
    ops += [wait(80 * SEQUENCE), Read(ESR), Read(ECR)]
    (node,) = made(FLEXCAN, [ops])
    start = begun(ops, node[1], SEND[-1])  # type: ignore[arg-type]
    back = start + (32 * AGAIN + 127 * SEQUENCE) * BIT
    end = back + (length(FRAME) + TAIL) * BIT
    windows = [(0, part) for part in cut(600_000, window)]
    inputs = [(0, 0, THERE + errors(32))]
    left = play(FLEXCAN, [node], windows, inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]
    status, first, half, after, none = left.read[0]
    assert status & 0x8024 == 0x8024  # BIT1_ERR, BOFF, BOFF_INT
    assert (first, half) == (1, 65)  # how many times 11 bits it has seen
    assert after & 0x34 == 4  # active; BOFF_INT until it is cleared
    assert none == 0
    assert left.counts[0]["faults"] == 1


def test_flexcan_stays_off_until_its_driver_has_it_back() -> None:
    """BOFF_REC; taken back late it waits for 11 more bits, taken back early it is as if it had not
    been."""
    stays = CONTROL | 1 << 6
    long = wait(32 * AGAIN + 200 * SEQUENCE)
    late = [*flexcan_on(stays), *SEND, long, Read(ECR), Read(ESR), Write(4, CONTROL), Wait(2000)]
    (node,) = made(FLEXCAN, [late])
    taken = begun(late, node[1], Write(4, CONTROL))  # type: ignore[arg-type]
    end = taken + (SEQUENCE + length(FRAME) + TAIL) * BIT
    inputs = [(0, 0, THERE + errors(32))]
    left = play(FLEXCAN, [node], [(0, 900_000)], inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]
    assert left.read[0][0] == SEQUENCES
    assert left.read[0][1] >> 5 & 1
    early = [*flexcan_on(stays), *SEND, wait(32 * AGAIN), Write(4, CONTROL), Wait(2000)]
    (node,) = made(FLEXCAN, [early])
    start = begun(early, node[1], SEND[-1])  # type: ignore[arg-type]
    end = start + (32 * AGAIN + 127 * SEQUENCE + length(FRAME) + TAIL) * BIT
    left = play(FLEXCAN, [node], [(0, 900_000)], inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]


@pytest.mark.parametrize("window", [3000, 900_000])
def test_frames_of_others_take_time_from_recovery(window: int) -> None:
    """While one is on the bus nothing is counted but its end."""
    alien, k, rest = Frame(0x700, b"\x55" * 8), 40, 3
    ops = [*GOES, Wait(300_000)]
    nodes = made(FLEXCAN, [ops, [*flexcan_on(), Wait(1000)]])
    shift = 4000  # the second node goes on the bus before
    start = shift + begun(ops, nodes[0][1], SEND[-1])  # type: ignore[arg-type]
    idle = start + 32 * AGAIN * BIT
    comes = idle + (k * SEQUENCE + rest) * BIT
    again = comes + (length(alien) + TAIL + INTERMISSION) * BIT
    end = again + ((SEQUENCES - 1 - k - 1) * SEQUENCE + length(FRAME) + TAIL) * BIT
    windows = [(1, shift), *((0, part) for part in cut(900_000, window))]
    inputs = [(0, 0, THERE + errors(32)), (comes, 0, alien.record)]
    left = play(FLEXCAN, nodes, windows, inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]


@pytest.mark.parametrize("at", [1, 7, 30])
def test_an_error_amid_a_frame_destroys_it_at_once(at: int) -> None:
    (node,) = made(FLEXCAN, [[*GOES, Wait(20_000), Read(ECR)]])
    start = begun(GOES, node[1], SEND[-1])  # type: ignore[arg-type]
    end = start + (at + 1 + 6 + 8 + 3 + length(FRAME) + TAIL) * BIT
    inputs = [(0, 0, THERE), (start + at * BIT, 0, errors(1))]
    left = play(FLEXCAN, [node], [(0, 100_000)], inputs, until=[end - 1, end])
    assert [len(came) for came in left.came[:2]] == [0, 16]
    assert left.read[0] == [7]


@pytest.mark.parametrize(
    ("kind", "sender", "receiver"),
    [("bit0", 14, 10), ("bit1", 15, 10), ("form", 11, 11), ("stuff", 10, 10)],
)
def test_who_hears_counts_one_and_knows_why(kind: ErrorKind, sender: int, receiver: int) -> None:
    hears = [*flexcan_on(), Wait(8000), Read(ECR), Read(ESR), *flexcan_boxes(RX)]
    (one, other) = made(FLEXCAN, [[*GOES, Wait(30_000), Read(ECR), Read(ESR)], hears])
    windows = [(1, 1000), (0, 80_000), (1, 80_000)]
    left = play(FLEXCAN, [one, other], windows, [(0, 1, errors(3, kind))])
    assert left.read[0][0] == 3 * 8 - 1
    assert left.read[1][0] == (3 - 1) << 8
    assert left.read[0][1] & 0xFC02 == 1 << sender | 2
    assert left.read[1][1] & 0xFC02 == 1 << receiver | 2
    assert [frame for _, _, frame in flexcan_frames(left.read[1][2:])] == [FRAME]


def test_a_frame_from_outside_is_sent_again() -> None:
    said = Frame(0x123, b"again")
    hears = [*flexcan_on(), Wait(20_000), Read(ECR), *flexcan_boxes(RX)]
    left = play(FLEXCAN, made(FLEXCAN, [hears]), [(0, 130_000)], [(0, 0, errors(2) + said.record)])
    assert left.read[0][0] == (2 - 1) << 8
    assert [frame for _, _, frame in flexcan_frames(left.read[0][1:])] == [said]


def test_a_lonely_sender_gets_to_bus_off_by_errors_alone() -> None:
    """128 for want of an acknowledgement, at which it stays; 16 errors more are bus-off."""
    tries = wait(40 * 100)
    ops = [*GOES, tries, Read(ECR), Read(ESR), wait(17 * AGAIN), Read(ESR)]
    (node,) = made(FLEXCAN, [ops])
    come = node[1][-2]
    left = play(FLEXCAN, [node], [(0, 900_000)], [(come, 0, errors(16))])
    alone, passive, off = left.read[0]
    assert (alone, passive >> 4 & 3, off >> 5 & 1) == (128, 1, 1)


SOFF = [*sja1000_on(), *sja1000_send(FRAME)]


def test_sja1000_goes_into_reset_mode_and_comes_back_out_of_it() -> None:
    """Its error counter counts 128 times 11 bits then, and what it had to send is gone."""
    ops = [*SOFF, wait(31 * AGAIN - 10), Read(15), Read(3), wait(40)]
    ops += [Read(0), Read(2), Read(15), Read(14), Read(12), Wait(20_000), Read(15)]
    ops += [Write(0, 8), wait(64 * SEQUENCE), Read(15), wait(65 * SEQUENCE)]
    ops += [Read(2), Read(15), *sja1000_send(FRAME), Wait(20_000), Read(2)]
    (node,) = made(SJA1000, [ops])
    left = play(SJA1000, [node], [(0, 900_000)], [(0, 0, THERE + errors(32, "form"))])
    passive, told, mode, off, *rest = left.read[0]
    assert (passive, told & 0xA4) == (31 * 8, 0xA4)  # bus error, passive, warning
    assert (mode & 1, off & 0xC0) == (1, 0xC0)
    assert rest[:4] == [127, 0, 0x40 | 0x0A, 127]  # counters; a form error, sending, in the data
    half, back, none, free = rest[4:]
    assert 61 <= half <= 63
    assert (back & 0xC0, none, free & 0x0C) == (0, 0, 0x0C)
    assert left.frames == [FRAME]
    assert left.counts[0]["faults"] == 1


def test_sja1000_is_back_at_once_if_its_driver_says_so() -> None:
    """A counter written below 255 ends bus-off."""
    ops = [*SOFF, wait(33 * AGAIN), Read(2), Write(15, 0), Read(2), Write(0, 8)]
    ops += [*sja1000_send(FRAME), Wait(10_000)]
    left = play(SJA1000, made(SJA1000, [ops]), [(0, 900_000)], [(0, 0, THERE + errors(32))])
    assert [status >> 7 for status in left.read[0]] == [1, 0]
    assert left.frames == [FRAME]


def test_who_only_listens_counts_nothing() -> None:
    """FlexCAN's LOM, SJA1000's LOM: they see the errors, and have none."""
    listens = [*flexcan_on(CONTROL | 1 << 3), Wait(8000), Read(ECR), Read(ESR)]
    nodes = made(FLEXCAN, [[*GOES, Wait(30_000)], listens])
    windows = [(1, 1000), (0, 80_000), (1, 80_000)]
    left = play(FLEXCAN, nodes, windows, [(0, 0, THERE + errors(3))])
    assert left.read[1][0] == 0
    assert left.read[1][1] & 0xFC02 == 1 << 10 | 2


def test_records_of_errors_are_checked() -> None:
    with pytest.raises(
        ValueError, match="there is no error crc; there are bit0, bit1, form, stuff"
    ):
        bus_error("crc")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32 is no place in a frame: 1 to 31"):
        bus_error("form", 32)
