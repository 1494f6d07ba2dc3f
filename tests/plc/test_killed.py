"""Any partition may die at any tick: safety stays in control, or its end stops the drive."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from khs.engine.native import Drained
from khs.engine.stepping import Stepper
from khs.engine.unicorn import Machine, Snapshot, Taker
from khs.trace import events
from khs.trace.kinds import Mode
from khs.trace.text import code
from tests.guests.systems import Run, built
from tests.plc.benches import (
    AGAIN,
    CALL,
    PARTITIONS,
    STOP,
    TRIP,
    Moment,
    Watched,
    opened,
    watched,
)

MAJOR_FRAME = 10.0  # ms
BUTTON = 5_000.0  # ms: stop.toml
END = 7_600.0  # ms: the brake takes 2 s
KILLED = range(4)


def ignore(drained: Drained) -> None:
    """Events are looked at in other tests."""


class Trips:
    """Hears safety say why it trips: (tick, why)."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []

    def __call__(self, drained: Drained) -> None:
        for record in events.split(drained.records):
            event = events.decode(record)
            if isinstance(event, events.Console) and event.text.startswith(b"trip: "):
                self.said.append((event.tick, event.text.decode()[6:].strip()))


@dataclass(frozen=True)
class Running:
    """The bench with the drive at speed, one major frame and a bit before the button."""

    machine: Machine
    plant: Watched
    snapshot: Snapshot
    hz: int

    def kill(self, victim: str, mode: Mode, tick: int, take: Taker = ignore) -> list[Moment]:
        """What the plant did from that tick on."""
        self.machine.restore(self.snapshot)
        self.machine.advance(ignore, until=tick)
        self.machine.settle(ignore)
        assert Stepper(self.machine.host).set_mode(PARTITIONS.index(victim), mode)
        return self.go_on(tick, take)

    def go_on(self, tick: int, take: Taker = ignore) -> list[Moment]:
        self.machine.advance(take, until=round(END / 1000 * self.hz))
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
def test_it_is_safety_that_stops_a_drive_without_controller(running: Running, mode: Mode) -> None:
    """From the trace: within one major frame, and because it hears nothing."""
    for tick in running.ticks(mode):
        trips = Trips()
        running.kill("controller", mode, tick, trips)
        at, why = trips.said[0]
        assert why == "controller silent"
        assert 0 < (at - tick) / running.hz * 1000 <= MAJOR_FRAME


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


@pytest.mark.parametrize("victim", ["", "controller", "safety"])
def test_after_a_trip_or_a_death_it_runs_again_and_not_too_soon(victim: str) -> None:
    """The safety channel is reset at rest only; the next passage waits for the rotor's rest."""
    archive = built("plc", "sabrelite", (AGAIN,))
    hz = int(archive.manifest["clock_hz"])
    with opened(archive) as (machine, plant):
        machine.advance(ignore, until=round(4.995 * hz))
        machine.settle(ignore)
        if victim:
            assert Stepper(machine.host).set_mode(PARTITIONS.index(victim), Mode.COLD_START)
        run = watched(machine, 3700 - machine.host.status().frames)
        by_second = {round(moment.ms / 1000): moment for moment in plant.history}
        assert [second for second, m in by_second.items() if m.closed][-1] == 37
        assert not by_second[7].closed  # the drive still turned at 6 s
        assert by_second[9].closed
        assert by_second[37].speed == pytest.approx(0, abs=1)
        machine.run(600)
        assert plant.speed == pytest.approx(1064, abs=1)
        assert not plant.broken
    refused = [code(each.code) for each in calls(run) if each.code]
    assert refused == ["DENIED", "DENIED"]  # at 7 s there is no session, at 10 s no rest
    assert sum(not verdict.granted for verdict in run.of(events.Verdict)) == 2


def calls(run: Run) -> list[events.Hypercall]:
    return [call for call in run.of(events.Hypercall, "engineering") if call.number == CALL]
