"""i.MX GPIO: pins as records of a mask and levels, in and out, and interrupts at their ticks."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.hil.registers import GPIO, Read, Wait, Write, left, script
from tests.host.windows import cut

DR, GDIR, PSR, ICR1, ICR2, IMR, ISR, EDGE = range(0, 32, 4)
LOW, HIGH, RISING, FALLING = range(4)


def record(pins: int, levels: int) -> bytes:
    return struct.pack("<II", pins, levels)


def test_outputs_are_told_when_they_change() -> None:
    """What is an output, and only when its level is another or it was none."""
    ops = [Write(DR, 0x5), Write(GDIR, 0x3), Write(DR, 0x5), Write(DR, 0x6), Write(GDIR, 0x80000003),
           Write(GDIR, 0), Write(DR, 0), Read(DR), Write(GDIR, 4), Read(PSR), Read(DR)]  # fmt: skip
    code, _ = script(GPIO, ops)
    done = left(GPIO, code, [(0, 500)], 3)
    assert done.sent == record(3, 1) + record(3, 2) + record(1 << 31, 0) + record(4, 0)
    assert done.read == [0, 0, 0]


def test_inputs_come_at_their_tick() -> None:
    """Also if a record comes in pieces; outputs do not see them."""
    code, ticks = script(GPIO, [Write(GDIR, 0x10), *[Read(PSR)] * 30, Read(DR)])
    at = ticks[10]
    late = record(0x1F, 0x1A)
    inputs = [(0, record(0xF, 0xF)), (at, late[:3]), (at + 1, late[3:7]), (ticks[20], late[7:])]
    for windows in ([500], cut(500, 7)):
        done = left(GPIO, code, [(0, length) for length in windows], 31, inputs)
        assert done.read == [0xF] * 19 + [0xA] * 12
        assert done.counts["received"] == 16


@pytest.mark.parametrize(
    ("condition", "both", "changes", "status"),
    [
        (RISING, 0, [0, 1, 1, 0], [0, 1, 0, 0]),
        (FALLING, 0, [0, 1, 1, 0], [0, 0, 0, 1]),
        (HIGH, 0, [0, 1, 1, 0], [0, 1, 1, 1]),  # the level is gone, the status stays till cleared
        (LOW, 0, [1, 0, 0, 1], [1, 1, 1, 1]),
        (LOW, 1, [0, 1, 1, 0], [0, 1, 0, 1]),
    ],
)
@pytest.mark.parametrize("pin", [0, 15, 16, 31])
def test_what_sets_the_status(
    condition: int, both: int, changes: list[int], status: list[int], pin: int
) -> None:
    """Read and cleared after each change; a level that still is sets it again at once."""
    ops = [
        Write(ICR1 if pin < 16 else ICR2, condition << 2 * (pin % 16)),
        Write(EDGE, both << pin),
        Write(ISR, 0xFFFFFFFF),
    ]
    for _ in changes:
        ops += [Wait(40), Read(ISR), Write(ISR, 1 << pin)]  # type: ignore[list-item]
    code, ticks = script(GPIO, ops)
    inputs = [
        (ticks[3 + 2 * number] - 30, record(1 << pin, level << pin))
        for number, level in enumerate(changes)
    ]
    done = left(GPIO, code, [(0, 1000)], len(changes), inputs)
    assert [value >> pin & 1 for value in done.read] == status


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_an_edge_interrupts_at_its_tick(window: int) -> None:
    """Of pins that IMR lets out; 0 to 15 have the first interrupt, 16 to 31 the second."""
    ops = [Write(ICR1, RISING), Write(ICR2, RISING << 2), Write(EDGE, 0x30), Write(ISR, 0xFFFFFFFF),
           Write(IMR, 0x20011)]  # fmt: skip
    code, _ = script(GPIO, ops, [Write(ISR, 0xFFFFFFFF)])
    inputs = [
        (200, record(1, 1)), (300, record(1, 0)), (333, record(0x10, 0x10)), (400, record(0x10, 0)),
        (500, record(0x20, 0x20)), (600, record(0x20000, 0x20000)), (700, record(1, 1)),
        (700, record(1, 0)),
    ]  # fmt: skip
    windows = [(0, length) for length in cut(1000, window)]
    done = left(GPIO, code, windows, inputs=inputs)
    assert done.interrupts == [200, 333, 400, 600, 700]
    assert done.irqs == [0, 0, 0, 1, 0]
    one = left(replace(GPIO, more=0), code, windows, inputs=inputs)
    assert one.interrupts == [200, 333, 400, 700]


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_each_interrupt_comes_by_itself(window: int) -> None:
    """Both lines rise at once: the lower number first, the other when its handler returns; cleared
    meanwhile or not, since it is pending by then. A line that stays up comes again and again."""
    ops = [Write(EDGE, 0x10001), Write(ISR, 0xFFFFFFFF), Write(IMR, 0x10001)]
    windows = [(0, length) for length in cut(1000, window)]
    inputs = [(200, record(0x10001, 0x10001))]
    code, _ = script(GPIO, ops, [Write(ISR, 0x10001)])
    done = left(GPIO, code, windows, inputs=inputs)
    assert (done.interrupts, done.irqs) == ([200, 204], [0, 1])
    code, _ = script(GPIO, ops, [Write(ISR, 1)])
    done = left(GPIO, code, windows, inputs=inputs)
    assert (done.interrupts, done.irqs) == ([200, *range(204, 1000, 4)], [0] + [1] * 199)


def test_a_level_interrupts_until_it_is_gone() -> None:
    ops = [Write(ICR1, HIGH), Write(ISR, 1), Write(IMR, 1)]
    code, _ = script(GPIO, ops, [Write(ISR, 1)])
    inputs = [(100, record(1, 1)), (150, record(1, 0))]
    found = left(GPIO, code, [(0, 1000)], inputs=inputs).interrupts
    assert found == list(range(100, 153, 4))  # cleared at 149 for the last time that it still is
