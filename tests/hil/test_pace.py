"""Virtual time and the clock on the wall, with clocks of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from khs import runs
from khs.attached import attached
from khs.engine import unicorn
from khs.engine.lines import Exchange, Party
from khs.engine.result import Result
from khs.errors import KhsError
from khs.hil import around, calibrate, pace
from khs.hil.pace import RealTime, Slip
from khs.image import Archive, open_system
from khs.runs import running

MS = 1_000_000
FRAME = 20 * MS  # of the gateway


@cache
def archive() -> Archive:
    return open_system("iot-gateway")


class Clock:
    """Each look at it takes time, and so do frames; sleeping is exact."""

    def __init__(self, look: int = 10_000, frames: Sequence[int] = ()) -> None:
        self.at = 5_000 * MS
        self.slept: list[int] = []
        self._look, self._frames = look, list(frames)

    def now(self) -> int:
        self.at += self._look
        return self.at

    def sleep(self, ns: int) -> None:
        self.slept.append(ns)
        self.at += ns

    def frame(self) -> None:
        self.at += self._frames.pop(0) if self._frames else MS


class Slow:
    """Takes the time that the frames are said to take."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange, self._clock = exchange, clock

    def next(self, tick: int) -> int:
        return self._exchange.window()[1]

    def hear(self, name: str, data: bytes) -> None: ...
    def save(self) -> None: ...
    def restore(self, saved: None, tick: int) -> None: ...
    def meet(self, tick: int) -> None:
        if tick:
            self._clock.frame()


def play(clock: Clock, frames: int, most_ns: int | None = None) -> tuple[RealTime, Result]:
    made: list[RealTime] = []

    def meet(exchange: Exchange) -> list[Party]:
        made.append(RealTime(exchange, most_ns=most_ns, clock=clock))
        return [Slow(exchange, clock), *made]

    with unicorn.Machine(archive(), outside=meet) as machine:
        result = machine.run(frames)
    return made[0], result


def test_frames_end_when_the_clock_says_so() -> None:
    clock = Clock()
    began = clock.at
    real, result = play(clock, 10)
    assert result.frames == 10 and result.reproducible
    assert 0 <= clock.at - began - 10 * FRAME < MS
    assert real.slip.to_json() == {
        "frames": 10, "late_frames": 0, "p50_us": 0, "p90_us": 0, "p99_us": 0, "p99_9_us": 0, "worst_us": 0,
    } | {key: value for key, value in real.slip.to_json().items() if value <= 20}  # fmt: skip
    assert max(clock.slept) < FRAME


def test_what_is_late_is_counted_and_caught_up() -> None:
    """Deadlines are absolute: one slow frame makes only those late that there is no time for."""
    clock = Clock(frames=[MS, 45 * MS, MS, MS, MS])
    real, _ = play(clock, 5)
    told = real.slip.to_json()
    assert told["frames"] == 5
    assert told["late_frames"] == 2  # 26 ms, then 7 ms late, and in time again
    assert 25_000 <= told["worst_us"] <= 27_000
    assert told["p50_us"] < 1000


def test_a_slip_that_may_not_be_ends_the_run() -> None:
    real, result = play(Clock(frames=[MS, MS, 25 * MS]), 10, most_ns=MS)
    assert result.frames == 3
    assert real.failure.startswith("frame 3 ended 5.")
    assert real.failure.endswith("ms late, more than the 1 ms it may")


def test_percentiles() -> None:
    slip = Slip()
    for us in range(1, 1001):
        slip.add(us * 2000)
    assert [slip.percentile(p) for p in (50, 90, 99, 100)] == [1000, 1800, 1980, 2000]
    assert slip.late == 501
    assert slip.worst_ns == 2_000_000
    assert Slip().percentile(50) == 0


class Trial:
    """A machine that needs so long for each frame of a million ticks."""

    def __init__(self, clock: Clock, ns: int, result: Result, ends: int = 1 << 30) -> None:
        self._clock, self._ns, self._result, self._ends = clock, ns, result, ends
        self.frames = 0

    def run(self, frames: int) -> Result:
        self.frames = min(self.frames + frames, self._ends)
        self._clock.at += frames * self._ns
        return replace(self._result, ticks=self.frames * 1_000_000)


@pytest.fixture(scope="module")
def some() -> Result:
    return runs.run(runs.plan(archive(), frames=1)).result


@pytest.mark.parametrize(("ns", "expected"), [(500_000, 2.0), (4 * MS, 0.25), (300 * MS, 1 / 300)])
def test_a_trial_tells_the_ratio(ns: int, expected: float, some: Result) -> None:
    clock = Clock(look=0)
    trial = Trial(clock, ns, some)
    ratio = calibrate.ratio(trial, 1_000_000_000, clock)
    assert ratio == pytest.approx(expected)
    assert trial.frames <= calibrate.WARM_UP + calibrate.FRAMES_MOST
    assert (clock.at - 5_000 * MS) <= calibrate.ENOUGH_NS + 3 * ns
    assert bool(calibrate.warning(ratio)) == (expected < 1)


def test_a_trial_of_a_system_that_stops(some: Result) -> None:
    assert calibrate.ratio(Trial(Clock(look=0), MS, some, ends=1), 10**9, Clock(look=0)) is None
    assert calibrate.warning(None) == ""


def test_the_run_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the start that it will be late, and afterwards by how much."""
    clock = Clock()
    monkeypatch.setattr(pace, "WallClock", lambda: clock)
    monkeypatch.setattr(calibrate, "ratio", lambda trial, hz: 0.5)
    told: list[str] = []
    plan = runs.plan(archive(), frames=3, attached=attached(pace="real", max_slip="2ms"))
    ran = runs.run(plan, say=told.append)
    assert told == [calibrate.warning(0.5)]
    assert "0.50 of real time" in told[0]
    assert ran.to_json()["pace"]["ratio"] == 0.5
    assert ran.to_json()["pace"]["frames"] == 3
    assert ran.healthy and ran.result.reproducible


def test_fast_is_not_looked_after() -> None:
    ran = runs.run(runs.plan(archive(), frames=2, attached=attached(pace="fast")))
    assert ran.pace is None
    with around.Around.opened(attached(pace="fast"), archive().manifest) as nobody:
        assert not nobody


def test_what_is_wrong() -> None:
    with pytest.raises(KhsError, match="there is no pace slow"):
        attached(pace="slow")
    with pytest.raises(KhsError, match="outside: names no socket"):
        attached(pace="outside:")
    with pytest.raises(KhsError, match="--max-slip often"):
        attached(max_slip="often")
    with pytest.raises(KhsError, match="--max-slip: only frames in real time"):
        runs.plan(archive(), attached=attached(max_slip="5ms"))
    with pytest.raises(KhsError, match="--pace: not for --isolate"):
        runs.plan(archive(), attached=attached(pace="real"), isolate=True)


def test_other_threads_give_way_meanwhile() -> None:
    before = sys.getswitchinterval()
    for name, sooner in (("real", True), ("fast", False)):
        with around.Around.opened(attached(pace=name), archive().manifest):
            assert (sys.getswitchinterval() < before) is sooner
        assert sys.getswitchinterval() == before


def test_the_trial_of_a_joined_bus_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller alone would send its frame again and again: that takes another time."""
    seen: list[dict[str, int]] = []

    def ratio(machine: unicorn.Machine, clock_hz: int) -> float:
        machine.run(5)
        seen.append(machine.devices.counts()["asker.can1"])
        return 1.0

    monkeypatch.setattr(calibrate, "ratio", ratio)
    given = attached(buses=["asker.can1=udp_multicast:239.74.163.9"], pace="real")
    running._calibrated(runs.plan(open_system("can"), attached=given), print)
    assert seen[0]["sent"] > 0
