"""The plant alone: how it moves, what shakes it, what breaks it."""

from __future__ import annotations

import math

import pytest

from tests.plc.benches import CLEARANCE, CRITICAL, TRIP, Drive

PERIOD = 0.005
REST = 30.0  # s: partitions/safety


class Led(Drive):  # type: ignore[misc]
    """A drive under an ideal controller, which a vibration limit may trip."""

    def __init__(self, limit: float = TRIP) -> None:
        super().__init__()
        self.limit = limit
        self.most = 0.0
        self.tripped = False

    def run(self, seconds: float, to: float, ramp: float = 400.0) -> None:
        """Along the ramp to a speed, and on at it until the time is over."""
        reference = self.speed
        for _ in range(round(seconds / PERIOD)):
            ahead = max(-ramp * PERIOD, min(ramp * PERIOD, to - reference))
            reference += ahead
            full = self.most_torque / (2 * math.pi * self.inertia)
            slowing = self.drag * self.speed / self.inertia
            wanted = ahead / PERIOD + 20 * (reference - self.speed) + slowing
            self.torque = wanted / full
            self.tripped |= self.vibration > self.limit
            self.permit += not self.tripped
            self.step(PERIOD)
            self.most = max(self.most, self.vibration)


def test_it_follows_a_ramp_and_rests() -> None:
    drive = Led()
    drive.run(4, 1064)
    assert drive.speed == pytest.approx(1064, abs=0.5)
    assert drive.encoder == drive.pickup == drive.speed
    assert not drive.broken


def test_without_a_count_that_goes_on_the_brake_falls_in() -> None:
    for permit in (0, 7):
        drive = Led()
        drive.run(4, 1064)
        drive.permit, drive.torque = permit, 1.0
        drive.step(PERIOD)
        drive.step(PERIOD)
        assert not drive.closed
        before = drive.speed
        drive.step(1.0)
        assert drive.speed < before - 400
        for _ in range(1000):
            drive.step(PERIOD)
        assert (drive.speed, drive.broken) == (0, 0)


def test_passages_shake_it_and_nothing_else_does() -> None:
    drive = Led()
    drive.run(4, 1064)
    first, drive.most = drive.most, 0.0
    drive.run(4, 1200)
    assert drive.most < 0.5 < 3 < first < TRIP / 2


def test_a_bow_goes_with_time() -> None:
    drive = Led()
    drive.run(4, 1064)
    bent = drive.bow
    drive.run(20, 1064)
    assert 0 < drive.bow < bent * 0.12


@pytest.mark.parametrize("speed", range(300, 760, 30))
@pytest.mark.parametrize("how", ["stop", "trip"])
def test_a_passage_may_end_anywhere(speed: int, how: str) -> None:
    """The one that the policy allows between two rests, and then what nobody may deny."""
    drive = Led()
    drive.run(speed / 350, 1100, 350)
    assert drive.speed == pytest.approx(speed, abs=20)
    if how == "trip":
        drive.limit = 0.0
    drive.run(4, 0)
    assert drive.most < TRIP
    assert not drive.broken


def test_the_third_passage_may_not() -> None:
    """Why it is one between rests, not two."""
    broken = 0
    for speed in range(630, 760, 10):
        drive = Led(math.inf)
        for to in (1064, 2):
            drive.run(4, to, 350)
        drive.run(speed / 350, 1100, 350)
        drive.run(4, 0)
        broken += drive.broken
    assert broken > 3


def test_many_passages_are_well_with_rests_between() -> None:
    drive = Led()
    most = []
    for _ in range(8):  # the slowest that the policy allows
        drive.run(5, 1100, 350)
        drive.run(4, 0)  # a stop, ahead of the rest
        drive.run(REST, 0)
        most.append(drive.most)
    assert not drive.tripped
    assert most[-1] == pytest.approx(most[-2], rel=0.01)
    assert most[-1] < 0.8 * TRIP


@pytest.mark.parametrize("limit", [12.5, TRIP, 25.0, math.inf])
def test_four_in_a_row_break_it_wherever_the_limit_lies(limit: float) -> None:
    """From the least that permitted passages leave room for; without any, too."""
    drive = Led(limit)
    for speed in (1064, 1410, 2, 1064, 1410, 2):
        drive.run(4, speed)
    assert drive.tripped == (limit < math.inf)
    assert drive.broken


def test_a_slow_passage_breaks_it_although_it_trips() -> None:
    drive = Led()
    drive.run(4, 1064)
    drive.run(30, 1064)
    drive.run(60, 2, 20)
    assert drive.tripped
    assert drive.broken


def test_it_bursts_beyond_what_its_inverter_may() -> None:
    drive = Led()
    drive.run(5, 1490)
    assert not drive.broken
    drive.run(1, 1510)
    assert drive.broken
    drive.run(1, 1510)
    assert drive.speed < 1


def test_a_step_is_as_good_as_its_halves() -> None:
    whole, halves = Led(), Led()
    for drive in (whole, halves):
        drive.run(1.5, 1064)
        drive.torque = 0.5
    for _ in range(50):
        for drive, steps in ((whole, 1), (halves, 2)):
            drive.permit += 1
            for _ in range(steps):
                drive.step(0.004 / steps)
    assert whole.speed == pytest.approx(halves.speed, abs=1e-9)
    assert whole.bow == pytest.approx(halves.bow, rel=1e-6)


def test_the_limits_lie_as_the_tests_have_them() -> None:
    drive = Drive()
    assert drive.clearance == CLEARANCE
    assert CRITICAL[0] < drive.critical_1 < drive.critical_2 < CRITICAL[1]
