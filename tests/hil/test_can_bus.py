"""Frames on a bus of several partitions: each arrives once, in the order of arbitration, at the tick
that its bits take, whatever windows there are and wherever a run comes back."""

from __future__ import annotations

import random

import pytest

from khs.hil.frames import GONE, THERE, Frame
from tests.hil.can_guests import (
    BIT,
    FLEXCAN,
    RX,
    SJA1000,
    TX,
    Asked,
    Read,
    Wait,
    Write,
    everywhere,
    flexcan_boxes,
    flexcan_frames,
    flexcan_on,
    flexcan_send,
    length,
    made,
    opened,
    oracle,
    order,
    play,
    sja1000_on,
    sja1000_send,
    ticks_of,
)
from tests.host.windows import cut

NODES = 3


def some_frame(rng: random.Random) -> Frame:
    extended, remote = rng.random() < 0.4, rng.random() < 0.15
    number = rng.choice([rng.randrange(1 << 11), 0x123, 0, 0x7FF])
    if extended:
        number = number << 18 | rng.choice([0, rng.randrange(1 << 18), 0x3FFFF])
    size = rng.randrange(9)
    data = rng.choice([rng.randbytes(8), bytes(8), b"\xff" * 8])[:size]
    return Frame(number, b"" if remote else data, extended, remote, size)


def test_bits_of_nothing_but_zeros() -> None:
    """34 zeros up to the end of the CRC, and a stuff bit behind each five of them."""
    assert length(Frame(0)) == 34 + 6


Node = tuple[bytes, list[int], int]


def senders(seed: int) -> tuple[list[Node], list[tuple[int, int]], list[Asked]]:
    """Three drivers in windows of their own, what each wants to send, and when it has said so."""
    rng = random.Random(seed)
    windows = [(node, 2000) for node in range(NODES)]  # all are on the bus then
    windows += [(rng.randrange(NODES), rng.randrange(200, 6000)) for _ in range(60)]
    windows += [(node, 300_000) for node in range(NODES)]
    nodes, plans = [], []
    for _ in range(NODES):
        ops = [*flexcan_on(), Wait(1000)]
        plan = [(box, some_frame(rng)) for box in rng.sample(list(TX), 7)]
        for box, frame in plan:
            ops += [*flexcan_send(box, frame), Wait(rng.choice([1, 3, 400, 4000]))]
        nodes.append([*ops, Wait(120_000), *flexcan_boxes(RX)])
        plans.append(plan)
    ready = made(FLEXCAN, nodes)
    asked = []
    first = len([op for op in flexcan_on() if not isinstance(op, Wait)])
    for node, (_, own, _) in enumerate(ready):
        ticks = everywhere(own, windows, node)
        for number, (box, frame) in enumerate(plans[node]):
            asked.append(Asked(ticks[first + 4 * number + 3], node, box, frame))
    return ready, windows, asked


@pytest.mark.parametrize("seed", range(4))
def test_every_frame_once_in_order_at_its_tick(seed: int) -> None:
    nodes, windows, asked = senders(seed)
    seen = oracle(asked)
    until = sorted({tick for each in seen for tick in (each.end - 1, each.end)})
    left = play(FLEXCAN, nodes, windows, until=until)
    assert left.frames == [each.asked.frame for each in seen]
    for number, each in enumerate(seen):  # there at its tick, and not before
        assert len(left.came[until.index(each.end - 1)]) == 16 * number
        assert len(left.came[until.index(each.end)]) == 16 * (number + 1)
    for node in range(NODES):
        heard = sorted(flexcan_frames(left.read[node]), key=lambda row: row[1])
        alien = [each.asked.frame for each in seen if each.asked.node != node]
        assert [frame for _, _, frame in heard] == [f for f in alien if not f.remote]
        assert left.counts[node]["sent"] == 16 * sum(each.asked.node == node for each in seen)
    assert len({order(each.asked.frame) for each in seen}) > 10


@pytest.mark.parametrize("seed", range(2))
def test_no_window_shows_and_no_pause(seed: int) -> None:
    nodes, windows, _ = senders(seed)
    whole = play(FLEXCAN, nodes, windows)
    assert len(whole.frames) == 7 * NODES
    for most in (61, 1000):
        pieces = [(node, part) for node, long in windows for part in cut(long, most)]
        assert play(FLEXCAN, nodes, pieces) == whole
    assert play(FLEXCAN, nodes, windows, until=range(777, 200_000, 7777)) == whole


@pytest.mark.parametrize("at", [1, BIT * 20, BIT * 44, BIT * 47 + 1])
def test_a_snapshot_amid_a_frame_goes_on_as_it_went_on(at: int) -> None:
    nodes, windows, asked = senders(5)
    begin = oracle(asked)[0].asked.tick
    outcomes = []
    with opened(FLEXCAN, [code for code, _, _ in nodes], windows) as host:
        host.run(1, begin + at)
        list(host.drain())
        kept = host.library.khs_host_snapshot(host.handle)
        for _ in range(2):
            host.device_output(0)
            host.run(1)
            records = b"".join(bytes(drained.records) for drained in host.drain())
            outcomes.append((records, host.device_output(0), host.registers(1)))
            assert host.library.khs_host_restore(host.handle, kept)
        host.library.khs_host_forget(host.handle, kept)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) >= 16 * (7 * NODES - 1)


# ---- the outside ---------------------------------------------------------------------------

LISTEN = [*flexcan_on(), Wait(60_000), *flexcan_boxes(RX)]


def test_frames_from_outside_wait_for_somebody_and_for_their_turn() -> None:
    """They are there before anybody is on the bus, and come in the order of their records."""
    said = [Frame(0x300, b"ab"), Frame(0x100, b"c"), Frame(0x1234567, b"", True)]
    records = b"".join(frame.record for frame in said)
    (node,) = made(FLEXCAN, [LISTEN])
    left = play(FLEXCAN, [node], [(0, 130_000)], [(3, 0, records[:17]), (9, 0, records[17:])])
    assert [
        frame for _, _, frame in sorted(flexcan_frames(left.read[0]), key=lambda r: r[1])
    ] == said
    assert (left.counts[0]["received"], left.counts[0]["waiting"]) == (48, 0)
    assert left.sent == b""
    (off,) = made(FLEXCAN, [[Wait(1000)]])
    left = play(FLEXCAN, [off], [(0, 130_000)], [(3, 0, records)])
    assert left.counts[0]["waiting"] == 32


def test_the_outside_takes_part_in_arbitration() -> None:
    """While one frame is on the bus another waits inside, and a third outside: lowest first."""
    ops = [*flexcan_on(), *flexcan_send(40, Frame(0x700, b"x"))]
    ops += [*flexcan_send(41, Frame(0x200)), Wait(60_000), *flexcan_boxes(RX)]
    (node,) = made(FLEXCAN, [ops])
    begun = node[1][len(flexcan_on()) + 3]
    ends = {}
    for outside, first in ((Frame(0x1FF), 1), (Frame(0x201), 0)):
        inputs = [(0, 0, THERE), (begun + 100, 0, outside.record)]
        left = play(FLEXCAN, [node], [(0, 130_000)], inputs)
        assert left.frames == [Frame(0x700, b"x"), Frame(0x200)]
        ((_, stamp, heard),) = flexcan_frames(left.read[0])
        assert heard == outside
        ends[first] = stamp
    assert ends[0] > ends[1]


def test_alone_nobody_acknowledges() -> None:
    """8 errors each time, up to error passive; it goes on trying, and somebody who comes has it."""
    ops = [*flexcan_on(), *flexcan_send(40, Frame(0x55, b"z")), Wait(5 * 60 * BIT // 2)]
    ops += [Read(0x1C), Read(0x20), Wait(20 * 100 * BIT // 2), Read(0x1C), Read(0x20)]
    (node,) = made(FLEXCAN, [[*ops, Wait(4000), Read(0x80 + 16 * 40)]])
    late = node[1][-1] - 100 * BIT
    left = play(FLEXCAN, [node], [(0, late + 40_000)], [(late, 0, THERE)])
    some, status, most, passive, box = left.read[0]
    period = length(Frame(0x55, b"z")) + TAIL_OF_ERROR
    begun = node[1][len(flexcan_on()) + 3]
    tries = (node[1][len(flexcan_on()) + 4] - begun + 9 * BIT) // (period * BIT)
    assert some == 8 * tries > 0
    assert status >> 13 & 1  # ACK_ERR
    assert most == 128
    assert passive >> 4 & 3 == 1
    assert left.frames == [Frame(0x55, b"z")]
    assert box >> 24 & 15 == 8  # sent, and no more to send
    gone = play(FLEXCAN, [node], [(0, late + 40_000)], [(0, 0, THERE), (1, 0, GONE)])
    assert gone.frames == []


TAIL_OF_ERROR = 10 + 6 + 3


def test_another_bit_rate_hears_nothing_and_counts_errors() -> None:
    slow = flexcan_on(5 << 24 | 2 << 19 | 2 << 16 | 2)
    send = [*flexcan_on(), Wait(2000), *flexcan_send(40, Frame(1)), Wait(2000)]
    nodes = made(FLEXCAN, [send, [*slow, Wait(30_000), Read(0x1C), *flexcan_boxes(RX)], LISTEN])
    windows = [(2, 1000), (1, 1000), (0, 20_000), (1, 90_000), (2, 140_000)]
    left = play(FLEXCAN, nodes, windows)
    assert left.frames == [Frame(1)]
    assert left.read[1][0] == 1 << 8
    assert flexcan_frames(left.read[1][1:]) == []
    assert [frame for _, _, frame in flexcan_frames(left.read[2])] == [Frame(1)]


def test_who_leaves_in_the_midst_of_its_frame_spoils_it() -> None:
    ops = [*flexcan_on(), Wait(1000), *flexcan_send(40, Frame(1)), Wait(BIT * 10)]
    nodes = made(FLEXCAN, [[*ops, Write(0, 0x5003003F), Wait(1000)], LISTEN])
    left = play(FLEXCAN, nodes, [(1, 1000), (0, 30_000), (1, 150_000)])
    assert left.frames == []
    assert flexcan_frames(left.read[1]) == []


@pytest.mark.parametrize("seed", range(3))
def test_sja1000s_talk(seed: int) -> None:
    """One buffer each; what was sent is what came, in its place, at its tick."""
    rng = random.Random(seed)
    said = [some_frame(rng) for _ in range(4)]
    ops = [*sja1000_on(), Wait(3000)]
    for frame in said:
        ops += [*sja1000_send(frame), Wait(20_000), Read(2)]
    hears = [*sja1000_on(), Wait(100_000)]
    for _ in said:
        hears += [Read(29), *(Read(16 + i) for i in range(13)), Write(1, 4)]
    nodes = made(SJA1000, [ops, [*hears, Read(29), Read(2)]])
    windows = [(1, 1000), (0, 250_000), (1, 250_000)]
    ticks = everywhere(nodes[0][1], windows, 0)
    sends = [
        ticks[i]
        for i, op in enumerate(o for o in ops if not isinstance(o, Wait))
        if op == Write(1, 1)
    ]
    ends = [tick + ticks_of(length(f) + 10) for tick, f in zip(sends, said, strict=True)]
    left = play(SJA1000, nodes, windows, until=[t for end in ends for t in (end - 1, end)])
    assert left.frames == said
    assert [len(came) // 16 for came in left.came[:8]] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert all(status & 0x0C == 0x0C for status in left.read[0])  # free, and complete
    for number, frame in enumerate(said):
        count, info, *rest = left.read[1][14 * number : 14 * number + 14]
        assert count == len(said) - number
        assert info == frame.extended << 7 | frame.remote << 6 | frame.size
        head = 4 if frame.extended else 2
        assert bytes(rest[head : head + len(frame.data)]) == frame.data
        assert int.from_bytes(bytes(rest[:head]), "big") >> (3 if frame.extended else 5) == frame.id
    assert left.read[1][-2] == 0
    assert left.read[1][-1] & 1 == 0
