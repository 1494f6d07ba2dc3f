"""Several systems in one virtual time, against an order made by sorting."""

from __future__ import annotations

from random import Random
from typing import cast

import pytest

from khs.debug.rsp.world import World
from khs.debug.stops import Calls, Cause
from khs.debug.target import Target

from .toy import BASE, CALLS_AT, LOOP, NUMBER, Toy

END = 400


def make(*hz: int) -> tuple[World, list[Toy]]:
    toys = [Toy(["a", "b"], each, END, system=f"s{n}") for n, each in enumerate(hz)]
    return World([cast(Target, toy) for toy in toys]), toys


def order(toys: list[Toy], step: int) -> list[tuple[int, int, int]]:
    """Every point at which some loop is at this instruction: nanosecond, system, tick."""
    found = []
    for system, toy in enumerate(toys):
        probe = Toy(toy.names, toy.hz, toy.end)
        for tick in range(1, toy.end):
            probe.go_to(type(probe.position)(tick))
            if probe.pc(probe.running()) == BASE + 4 * step:
                found.append((probe.ns(), system, tick))
    return sorted(found)


CLOCKS = [(1000,), (1000, 1000), (1000, 700), (125_000_000, 3_000_000), (10, 1000, 333)]


@pytest.mark.parametrize("clocks", CLOCKS)
def test_stops_come_in_the_order_of_time_both_ways(clocks: tuple[int, ...]) -> None:
    world, toys = make(*clocks)
    wanted = order(toys, CALLS_AT)
    for system in range(len(toys)):
        world.set_calls(system, (Calls(None, frozenset((NUMBER,)), result=False),))
    met = []
    while (halt := world.go()).stop.cause is Cause.CALL:
        met.append((world.targets[halt.system].ns(), halt.system, halt.stop.position.tick))
        check_together(world, toys, (met[-1][0], met[-1][1]))
    assert halt.stop.cause is Cause.END
    assert met == wanted
    back = []
    while (halt := world.behind(lambda target: target.back())).stop.cause is Cause.CALL:
        back.append((world.targets[halt.system].ns(), halt.system, halt.stop.position.tick))
    assert halt.stop.cause is Cause.BEGIN
    assert back == wanted[::-1]


def check_together(world: World, toys: list[Toy], here: tuple[int, int]) -> None:
    """Nobody is behind the point where the world stands, and nobody lags by a tick of its own."""
    for system, toy in enumerate(toys):
        assert (toy.ns(), system) <= here
        following = (toy.position.tick + 1) * 1_000_000_000 // toy.hz
        assert (following, system) > here or toy.position.tick == toy.end


def test_a_random_walk_comes_back() -> None:
    world, toys = make(1000, 700, 333)
    rng = Random(1)
    trail: list[tuple[int, ...]] = []
    for _ in range(60):
        trail.append(tuple(toy.position.tick for toy in toys))
        system, partition = rng.randrange(3), rng.randrange(2)
        world.ahead(system, lambda target, partition=partition: target.step(partition))
    assert sorted(trail) == trail
    ahead = tuple(toy.position.tick for toy in toys)
    assert all(a >= b for a, b in zip(ahead, trail[-1], strict=True))
    while world.behind(lambda target: target.back_step()).stop.cause is Cause.STEP:
        pass
    assert [toy.position.tick for toy in toys] == [0, 0, 0]


def test_an_interrupt_before_it_moves_counts() -> None:
    world, toys = make(1000, 1000)
    world.listen()
    world.interrupt()
    assert world.go().stop.cause is Cause.INTERRUPT
    assert [toy.position.tick for toy in toys] == [0, 0]


def test_names_tell_systems_apart() -> None:
    world, _ = make(1000, 1000)
    assert [each.label for each in world.processes] == ["s0.a", "s0.b", "s1.a", "s1.b"]
    same = World([cast(Target, Toy(["a"], 1, 1)) for _ in range(2)])
    assert [each.label for each in same.processes] == ["toy.none.1.a", "toy.none.2.a"]
    assert [each.label for each in World([cast(Target, Toy(["a"], 1, 1))]).processes] == ["a"]


def test_loops_are_as_the_toy_says() -> None:
    assert len(order([Toy(["a"], 1, LOOP * 3)], CALLS_AT)) == 3
