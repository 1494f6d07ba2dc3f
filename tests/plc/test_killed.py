"""Any partition may die at any tick: safety stays in control, or its end stops the drive."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from khs.engine.native import Drained
from khs.engine.stepping import Stepper
from khs.engine.unicorn import Machine, Snapshot
from khs.trace.kinds import Mode
from tests.guests.systems import built
from tests.plc.benches import PARTITIONS, STOP, TRIP, Moment, Watched, opened

MAJOR_FRAME = 10.0  # ms
BUTTON = 5_000.0  # ms: stop.toml
END = 7_600.0  # ms: the brake takes 2 s
KILLED = range(4)


def ignore(drained: Drained) -> None:
    """Events are looked at in other tests."""


@dataclass(frozen=True)
class Running:
    """The bench with the drive at speed, one major frame and a bit before the button."""

    machine: Machine
    plant: Watched
    snapshot: Snapshot
    hz: int

    def kill(self, victim: str, mode: Mode, tick: int) -> list[Moment]:
        """What the plant did from that tick on."""
        self.machine.restore(self.snapshot)
        self.machine.advance(ignore, until=tick)
        self.machine.settle(ignore)
        assert Stepper(self.machine.host).set_mode(PARTITIONS.index(victim), mode)
        return self.go_on(tick)

    def go_on(self, tick: int) -> list[Moment]:
        self.machine.advance(ignore, until=round(END / 1000 * self.hz))
        at = tick / self.hz * 1000
        return [moment for moment in self.plant.history if moment.ms > at]

    def ticks(self, seed: object) -> list[int]:
        """At random in the last major frame before the button."""
        dice = random.Random(str(seed))
        end = round(BUTTON / 1000 * self.hz)
        frame = round(MAJOR_FRAME / 1000 * self.hz)
        return [dice.randrange(end - frame, end) for _ in KILLED]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    archive = built("plc", "sabrelite", (STOP,))
    hz = int(archive.manifest["clock_hz"])
    with opened(archive) as (machine, plant):
        machine.advance(ignore, until=round((BUTTON - 1.5 * MAJOR_FRAME) / 1000 * hz))
        snapshot = machine.snapshot(ignore)
        assert plant.speed == pytest.approx(1064, abs=1)
        yield Running(machine, plant, snapshot, hz)
        machine.forget(snapshot)


def is_safe(after: list[Moment], since: float) -> bool:
    """Cut off within one major frame of that, for good, and brought to rest unharmed."""
    off = next(n for n, moment in enumerate(after) if not moment.closed)
    slows = all(a.speed >= b.speed for a, b in zip(after[off:], after[off + 1 :], strict=False))
    return (
        after[off].ms <= since + MAJOR_FRAME + 0.001
        and not any(moment.closed for moment in after[off:])
        and slows
        and after[-1].speed == 0
        and not after[-1].broken
        and max(moment.vibration for moment in after) < TRIP
    )


@pytest.mark.parametrize("mode", [Mode.IDLE, Mode.COLD_START])
@pytest.mark.parametrize("victim", ["controller", "safety"])
def test_without_controller_or_safety_the_drive_is_stopped(
    running: Running, victim: str, mode: Mode
) -> None:
    for tick in running.ticks((victim, mode)):
        assert is_safe(running.kill(victim, mode, tick), tick / running.hz * 1000), tick


@pytest.mark.parametrize("mode", [Mode.IDLE, Mode.COLD_START])
@pytest.mark.parametrize("victim", ["engineering", "network"])
def test_without_the_others_it_runs_on_until_the_button_stops_it(
    running: Running, victim: str, mode: Mode
) -> None:
    for tick in running.ticks((victim, mode)):
        after = running.kill(victim, mode, tick)
        before = [moment for moment in after if moment.ms < BUTTON]
        assert all(m.closed and m.speed == pytest.approx(1064, abs=1) for m in before)
        assert is_safe(after, BUTTON), tick


def test_the_button_works_when_nobody_is_killed(running: Running) -> None:
    running.machine.restore(running.snapshot)
    assert is_safe(running.go_on(round(BUTTON / 1000 * running.hz)), BUTTON)
