"""EPIT and 8254 against oracles that go through every cycle: whatever drivers do, at whatever tick."""

from __future__ import annotations

import random

import pytest

from tests.hil.oracles import Epit, Pit
from tests.hil.registers import EPIT, HZ, PIT, Op, Read, Wait, Write, left, script
from tests.host.windows import cut

CLOCKS = [HZ, 50_000_000, 1_000_000_000]


def epit_script(rng: random.Random) -> list[Op]:
    ops: list[Op] = []
    for _ in range(40):
        control = rng.choice([0, 1, 3, 5, 9, 0xB, 0x2000B]) | rng.choice([0, 0, 0x10, 0x50])
        ops.append(
            rng.choice(
                [
                    Write(0, control | rng.choice([1, 1, 2, 0]) << 24),
                    Write(8, rng.choice([0, 1, 2, 9, 40, 0xFFFFFFFF])),
                    Write(12, rng.choice([0, 0, 1, 5, 39, 0xFFFFFFF0])),
                    Write(4, 1),
                    Read(4),
                    Read(16),
                    Wait(rng.randrange(1, 60)),
                ]
            )
        )
        ops += [Read(16), Read(4)]
    return ops


@pytest.mark.parametrize("seed", range(12))
def test_epit_counts_as_its_manual_says(seed: int) -> None:
    rng = random.Random(seed)
    hz = CLOCKS[seed % 3]
    ops = epit_script(rng)
    code, ticks = script(EPIT, ops)
    oracle, expected = Epit(hz), []
    accesses = [op for op in ops if not isinstance(op, Wait)]
    for op, tick in zip(accesses, ticks, strict=True):
        oracle.run_to(tick)
        if isinstance(op, Write):
            oracle.write(op.offset, op.value)
        else:
            expected.append(oracle.read(op.offset))
    assert left(EPIT, code, [(0, 10_000)], len(expected), hz=hz).read == expected
    windows = [(0, ticks) for ticks in cut(10_000, rng.choice([1, 7, 61, 1000]))]
    assert left(EPIT, code, windows, len(expected), hz=hz).read == expected


def pit_script(rng: random.Random) -> list[Op]:
    """Counts are low byte, then high byte; nothing is read in the first half of a pair."""
    ops: list[Op] = []
    for _ in range(30):
        count = rng.choice([2, 3, 4, 5, 9, 12, 300, 0])
        if rng.random() < 0.35:
            ops += [Write(3, 0x30 | rng.choice([0, 2, 3, 4]) << 1)]
        if rng.random() < 0.5:
            ops += [Write(0, count & 255), Wait(rng.randrange(1, 99)), Write(0, count >> 8)]
        ops += [Wait(rng.randrange(1, 900))]
        ops += [Write(3, 0)] if rng.random() < 0.5 else []
        ops += [Read(0), Read(0)]
    return ops


@pytest.mark.parametrize("seed", range(12))
def test_8254_counts_as_its_data_sheet_says(seed: int) -> None:
    rng = random.Random(seed)
    ops = pit_script(rng)
    code, ticks = script(PIT, ops)
    oracle, expected = Pit(HZ), []
    accesses = [op for op in ops if not isinstance(op, Wait)]
    for op, tick in zip(accesses, ticks, strict=True):
        oracle.run_to(tick)
        if isinstance(op, Write):
            oracle.write(op.offset, op.value, tick)
        else:
            expected.append(oracle.read())
    assert left(PIT, code, [(0, 80_000)], len(expected)).read == expected
    windows = [(0, ticks) for ticks in cut(80_000, rng.choice([61, 997]))]
    assert left(PIT, code, windows, len(expected)).read == expected


# ---- interrupts ---------------------------------------------------------------------------


def own_ticks(windows: list[tuple[int, int]]) -> list[int]:
    """Ticks in windows of partition 0."""
    found, at = [], 0
    for partition, length in windows:
        found += range(at, at + length) if partition == 0 else []
        at += length
    return found


def gaps(rng: random.Random, total: int) -> list[tuple[int, int]]:
    """Windows of both partitions in turn."""
    windows: list[tuple[int, int]] = []
    while total > 0:
        length = min(rng.randrange(1, 900), total)
        windows.append((rng.random() < 0.4, length))
        total -= length
    return windows


#: Of the handlers below: the instruction that quits the EPIT, and how many there are.
EPIT_QUITS, EPIT_HANDLER, PIT_HANDLER = 1, 4, 5


@pytest.mark.parametrize("period", [11, 60, 997])
@pytest.mark.parametrize("seed", range(3))
def test_epit_interrupts_at_its_tick(period: int, seed: int) -> None:
    """A period is one more than the load register; the last ticks of the setup count already."""
    ops: list[Op] = [Write(8, period - 1), Write(12, 3), Write(0, 0x0100000F)]
    code, ticks = script(EPIT, ops, [Write(4, 1)])
    windows = gaps(random.Random(seed), 20_000) if seed else [(0, 20_000)]
    own = own_ticks(windows)
    oracle = Epit(HZ)
    oracle.load, oracle.compare = period - 1, 3
    oracle.run_to(own[ticks[-1]])
    oracle.write(0, 0x0100000F)
    expected, index = [], ticks[-1] + 1
    while index < len(own):
        oracle.run_to(own[index])
        if not oracle.status:
            index += 1
            continue
        expected.append(own[index])
        quits = index + EPIT_QUITS
        if quits < len(own):
            oracle.run_to(own[quits])
            oracle.write(4, 1)
        index += EPIT_HANDLER
    assert len(expected) > 5
    assert left(EPIT, code, windows).interrupts == expected


@pytest.mark.parametrize(("mode", "count"), [(2, 2), (2, 7), (3, 4), (3, 9), (0, 40), (4, 12)])
@pytest.mark.parametrize("seed", range(3))
def test_8254_interrupts_at_its_tick(mode: int, count: int, seed: int) -> None:
    """Edges: those that come while one is pending, or nobody is there to take it, are one."""
    ops: list[Op] = [Write(3, 0x30 | mode << 1), Write(0, count), Write(0, 0)]
    code, ticks = script(PIT, ops, [Wait(1)])
    windows = gaps(random.Random(seed), 30_000) if seed else [(0, 30_000)]
    own = own_ticks(windows)
    oracle = Pit(HZ)
    for op, index in zip(ops, ticks, strict=True):
        assert isinstance(op, Write)
        oracle.run_to(own[index])
        oracle.write(op.offset, op.value, own[index])
    oracle.run_to(own[-1])
    edges, expected, index = list(oracle.rose), [], 0
    while index < len(own):
        if edges and edges[0] <= own[index]:
            expected.append(own[index])
            edges = [edge for edge in edges if edge > own[index]]
            index += PIT_HANDLER
        else:
            index += 1
    assert len(expected) > (5 if mode in (2, 3) else 0)
    assert left(PIT, code, windows).interrupts == expected


def test_an_interrupt_that_is_off_does_not_come() -> None:
    """OCIEN: the status says it, the line does not."""
    code, _ = script(EPIT, [Write(8, 20), Write(0, 0x0100000B), Wait(50), Read(4)], [Write(4, 1)])
    done = left(EPIT, code, [(0, 1000)], 1)
    assert (done.read, done.interrupts) == ([1], [])


def test_epit_takes_its_other_clock_and_its_resets() -> None:
    """32,768 Hz: 3815 ticks each. A soft reset keeps what enables it, and nothing else."""
    ops = [Write(8, 7), Write(0, 0x0300000B), Wait(4000), Read(16), Write(0, 0x0301000B), Read(0),
           Read(8), Read(16)]  # fmt: skip
    code, _ = script(EPIT, ops)
    assert left(EPIT, code, [(0, 10_000)], 4).read == [5, 3, 0xFFFFFFFF, 0xFFFFFFFF]


def test_8254_reads_back() -> None:
    """Status and count of channel 2, both latched by one command: the status is read first."""
    ops = [Write(3, 0xB4), Write(2, 100), Write(3, 0xE8), Read(2), Write(2, 0), Wait(500),
           Write(3, 0xC8), Wait(500), Write(3, 0x80), Read(2), Read(2), Read(2), Read(3)]  # fmt: skip
    code, ticks = script(PIT, ops)
    accesses = [op for op in ops if not isinstance(op, Wait)]
    loaded, latched = (
        ticks[accesses.index(Write(2, 0))] * 1_193_182 // HZ + 1,
        ticks[accesses.index(Write(3, 0xC8))] * 1_193_182 // HZ,
    )
    # no count has come: NULL COUNT and OUT; then OUT, and what the counter was at the command
    wanted = [0xF4, 0xB4, 100 - (latched - loaded), 0, 0]
    assert left(PIT, code, [(0, 10_000)], 5).read == wanted


def test_8254_counts_decimally_and_by_halves_of_its_count() -> None:
    """BCD 1000 less one is 0999; access to the high byte alone loads and shows that one."""
    ops = [Write(3, 0x31), Write(0, 0), Write(0, 0x10), Wait(150), Read(0), Read(0),
           Write(3, 0x64), Write(1, 2), Wait(150), Read(1), Read(1)]  # fmt: skip
    code, ticks = script(PIT, ops)
    low, high, *rest = left(PIT, code, [(0, 10_000)], 4).read
    gone = ticks[3] * 1_193_182 // HZ - (ticks[2] * 1_193_182 // HZ + 1)
    assert gone > 0
    assert f"{high:02x}{low:02x}" == f"{1000 - gone:04d}"
    assert rest == [1, 1]
    code, _ = script(PIT, [Write(3, 0x1F), Write(0, 0xFF), Read(0), Wait(200), Read(0)])
    assert all(value < 0x100 for value in left(PIT, code, [(0, 10_000)], 2).read)
