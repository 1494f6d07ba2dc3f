"""A UART is looked at when its line may rise, and no more often. In windows of one tick it is looked
at at every tick: what there is to know afterwards must be the same."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.hil.bench import WINDOW
from tests.hil.registers import Kind, Left, Op, Read, Wait, Write, left, script
from tests.host.system import Arch

IMX = Kind("imx-uart", Arch.ARMV7, WINDOW, 0x4000, 4)
PC = Kind("16550", Arch.X86, 0x3E8, 8, 1)
HZ = 1_000_000  # characters of 9 ticks and more
TICKS = 6_000


def imx_set(rng: random.Random) -> list[Op]:
    """Any of what decides about the line."""
    one = 1 | sum(bit for bit in (0x40, 0x200, 0x2000) if rng.random() < 0.4)
    four = sum(bit for bit in (1, 2, 8) if rng.random() < 0.2)
    two = 0x4021 | rng.choice([6, 6, 6, 2, 4]) | rng.choice([0, 8])
    levels = rng.choice([0, 2, 5, 32]) << 10 | rng.choice([0, 1, 3, 16]) | rng.choice([0, 0x200])
    ops: list[Op] = [Write(0x90, levels), Write(0x8C, 0x8000 | four), Write(0x84, two)]
    return [*ops, Write(0xB4, 0x1000 * (rng.random() < 0.2)), Write(0x80, one)]


def imx_op(rng: random.Random) -> Op:
    write = Write(0x40, rng.randrange(256))
    return rng.choice([write, write, Read(0), Read(0x94), Read(0x98), Write(0x98, 2), Read(0xB4)])


def pc_set(rng: random.Random) -> list[Op]:
    fifo = rng.choice([0, 1, 1, 1]) | rng.choice([0, 2, 4]) | rng.choice([0, 0x40, 0x80, 0xC0])
    ops: list[Op] = [Write(3, 0x83), Write(0, rng.choice([1, 1, 2])), Write(1, 0), Write(3, 3)]
    modem = 8 * (rng.random() < 0.9) | 0x10 * (rng.random() < 0.2)
    return [*ops, Write(2, fifo), Write(4, modem), Write(1, rng.randrange(8))]


def pc_op(rng: random.Random) -> Op:
    write = Write(0, rng.randrange(256))
    return rng.choice([write, write, Read(0), Read(2), Read(5), Write(1, rng.randrange(8))])


def bursts(kind: Kind, rng: random.Random) -> list[Op]:
    """Accesses in a row, and waits in which much happens."""
    sets, op = (imx_set, imx_op) if kind is IMX else (pc_set, pc_op)
    ops: list[Op] = []
    for _ in range(12):
        ops += sets(rng) if rng.random() < 0.4 else []
        ops += [op(rng) for _ in range(rng.randrange(20))]
        ops.append(Wait(rng.choice([1, 7, 60, 300])))
    return [*sets(rng), *ops]


def played(kind: Kind, seed: int, piece: int) -> Left:
    """Its windows and those of another, each cut into pieces."""
    rng = random.Random(seed)
    ops = bursts(kind, rng)
    data = [Read(2), Read(5)] if kind is PC else [Read(0x94)]
    handler: list[Op] = [*data, *[Read(0)] * rng.randrange(1, 5)]
    code, _ = script(kind, ops, handler if rng.random() < 0.8 else ())
    windows = [(i % 2, rng.choice([300, 900])) for i in range(10)]
    windows.append((0, TICKS))
    ticks = sorted(rng.randrange(TICKS) for _ in range(rng.randrange(8)))
    inputs = [(tick, rng.randbytes(rng.randrange(1, 40))) for tick in ticks]
    reads = sum(isinstance(op, Read) for op in ops) + len(handler)
    return left(kind, code, cut(windows, piece), reads, inputs, hz=HZ)


def cut(windows: Sequence[tuple[int, int]], piece: int) -> list[tuple[int, int]]:
    return [
        (partition, min(piece, ticks - at))
        for partition, ticks in windows
        for at in range(0, ticks, piece)
    ]


@pytest.mark.parametrize("kind", [IMX, PC], ids=lambda kind: kind.kind)
def test_who_is_not_looked_at_does_the_same(kind: Kind) -> None:
    interrupts = sent = overruns = 0
    for seed in range(24):
        whole = played(kind, seed, TICKS)
        assert played(kind, seed, 1) == whole, seed
        assert played(kind, seed, 41) == whole, seed
        assert whole.faults == 0
        interrupts += len(whole.interrupts)
        sent += whole.counts["sent"]
        overruns += whole.counts["overruns"]
    assert interrupts > 100 and sent > 100 and overruns > 0


#: What comes in alone interrupts, at 14 or 16 characters or when it is old.
RECEIVES: dict[str, list[Op]] = {
    "imx-uart": [Write(0x90, 16), Write(0x84, 0x402F), Write(0x80, 0x201)],
    "16550": [Write(3, 0x83), Write(0, 1), Write(3, 3), Write(2, 0xC1), Write(4, 8), Write(1, 1)],
}


@pytest.mark.parametrize("kind", [IMX, PC], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("count", [1, 2, 13, 15, 20])
def test_what_is_old_interrupts_when_it_is(kind: Kind, count: int) -> None:
    """Nothing accesses the UART, so nobody looks before."""
    code, _ = script(kind, [*RECEIVES[kind.kind], Wait(3 * TICKS)], [Read(0)] * 8)
    found = [
        left(kind, code, cut([(0, TICKS)], piece), 8, [(500, bytes(count))], hz=HZ)
        for piece in (TICKS, 1)
    ]
    assert found[0] == found[1]
    level, character = (16, 13) if kind is IMX else (14, 87)
    characters = level if count >= level else count + 8
    assert found[0].interrupts[0] == 500 + characters * character
    assert (found[0].counts["received"], found[0].faults) == (count, 0)
