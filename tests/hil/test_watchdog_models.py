"""Watchdogs: when they warn and when they expire, with half a second of 1000 ticks."""

from __future__ import annotations

import pytest

from tests.hil.registers import IB700, WDOG, Read, Wait, Write, left, script

HZ = 2000
WCR, WSR, WRSR, WICR, WMCR = range(0, 10, 2)
ON = 0x0034  # WDE, SRS, WDA; half a second


def test_registers_after_power_on() -> None:
    code, _ = script(WDOG, [Read(each) for each in (WCR, WSR, WRSR, WICR, WMCR)])
    assert left(WDOG, code, [(0, 100)], 5, hz=HZ).read == [0x30, 0, 0x10, 4, 1]


def test_it_expires_unless_it_is_served() -> None:
    """Both values in their order, and nothing less; afterwards it is as after a reset."""
    ops = [Write(WCR, 0x0100 | ON)]
    for first, second in ((0x5555, 0xAAAA), (0x5555, 0xAAAA), (0xAAAA, 0x5555)):
        ops += [Wait(900), Write(WSR, first), Write(WSR, second), Read(WRSR)]  # type: ignore[list-item]
    ops += [Wait(900), Read(WRSR), Read(WCR)]  # type: ignore[list-item]
    code, _ = script(WDOG, ops)
    assert left(WDOG, code, [(0, 20_000)], 5, hz=HZ).read == [0x10, 0x10, 0x10, 2, 0x30]


@pytest.mark.parametrize("wait", [997, 998, 999])
def test_it_expires_at_its_tick(wait: int) -> None:
    code, ticks = script(WDOG, [Write(WCR, ON), Wait(wait // 2), *[Read(WRSR)] * 4])
    done = left(WDOG, code, [(0, 3000)], 4, hz=HZ)
    assert done.read == [0x10 if tick < ticks[0] + 1000 else 2 for tick in ticks[1:]]


def test_what_is_set_once() -> None:
    """WDE, WDW, WDBG and WDZST stay; so does how it warns. The time may be changed, for the next
    service."""
    ops = [Write(WCR, 0x0A00 | ON | 0x83), Write(WCR, 0xFF30), Read(WCR),
           Write(WICR, 0x8010), Write(WICR, 0x0020), Read(WICR), Write(WMCR, 0), Write(WMCR, 1),
           Read(WMCR)]  # fmt: skip
    code, _ = script(WDOG, ops)
    assert left(WDOG, code, [(0, 500)], 3, hz=HZ).read == [0xFF00 | ON | 0x83, 0x8010, 0]


def test_software_asks_for_a_reset() -> None:
    code, _ = script(WDOG, [Write(WCR, 0x20), Read(WRSR)])
    assert left(WDOG, code, [(0, 500)], 1, hz=HZ).read == [1]


@pytest.mark.parametrize("window", [[3000], [700, 300, 2, 998, 1000]])
def test_it_warns_before(window: list[int]) -> None:
    """One half second before the end of a second and a half; the status is cleared by a 1."""
    ops = [Write(WICR, 0x8001), Write(WCR, 0x0200 | ON)]
    code, ticks = script(WDOG, ops, [Read(WICR), Write(WICR, 0xC001), Read(WICR)])
    done = left(WDOG, code, [(0, ticks) for ticks in window], 2, hz=HZ)
    assert done.interrupts == [ticks[1] + 2000]
    assert done.read == [0xC001, 0x8001]


@pytest.mark.parametrize("others", [0, 1])
def test_the_health_monitor_is_told_at_its_tick(others: int) -> None:
    """In a window of somebody else, too; once, as the watchdog is off then."""
    code, ticks = script(WDOG, [Write(WCR, ON)])
    done = left(WDOG, code, [(0, 50), (others, 3800), (0, 50)], hz=HZ)
    assert done.expired == [ticks[0] + 1000]
    assert done.counts["faults"] == 1


@pytest.mark.parametrize("value", [0, 7, 13, 14])
def test_ib700_has_even_seconds(value: int) -> None:
    """30 seconds, 28, and so on; the last one that is written counts, and disabling ends it."""
    code, ticks = script(IB700, [Write(2, 15 - 1), Write(2, value), Wait(5), Read(2)])
    seconds = 30 - 2 * value
    done = left(IB700, code, [(0, 50), (1, 2000 * seconds + 10)], 1, hz=HZ)
    assert done.expired[:1] == [ticks[1] + HZ * seconds]
    assert done.read == [0xFF]
    code, _ = script(IB700, [Write(2, value), Wait(5), Write(0, 0)])
    assert left(IB700, code, [(0, 50), (1, 2000 * seconds + 10)], hz=HZ).expired == []


def test_ib700_may_expire_at_once() -> None:
    code, ticks = script(IB700, [Write(2, 15)])
    assert left(IB700, code, [(0, 20)], hz=HZ).expired[0] == ticks[0] + 1
