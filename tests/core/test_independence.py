"""What a partition sees does not depend on what a neighbour without a path to it does."""

from __future__ import annotations

from random import Random

import pytest

from tests.core import fuzz, host, systems
from tests.core.systems import CALLS, QUEUING, SAMPLING, Channel, Partition, System


def reach(system: System, start: int) -> set[int]:
    """Partitions that `start` can influence. Samples go one way; a call comes back, a full queue
    is told to its writer, and memory that both may write goes both ways."""
    edges = set()
    for channel in system.channels:
        for to in channel.to:
            edges.add((channel.source, to))
            if channel.kind != SAMPLING:
                edges.add((to, channel.source))
    sharing = [n for n, partition in enumerate(system.partitions) if partition.shared]
    edges |= {(a, b) for a in sharing if system.partitions[a].shared & systems.W for b in sharing}
    found, todo = {start}, [start]
    while todo:
        at = todo.pop()
        for a, b in edges:
            if a == at and b not in found:
                found.add(b)
                todo.append(b)
    return found


def test_nobody_is_stopped_for_events_of_others() -> None:
    """Timers, releases, deadlines and timeouts of one partition do not enter the kernel in the
    windows of another, where hardware would show it; what they come to is told at its tick."""
    busy = Partition("test.A", period=300, deadline=40)
    log = {systems.DEADLINE: (systems.PARTITION, systems.LOG)}
    system = System([busy, Partition("test.B")], [(1000, [(0, 0, 100), (1, 100, 900)])], health=log)
    script = host.Script()
    script.start(1).run(100_000)
    quiet = host.run(system, script, 10_000)
    guest = script.start(0).normal()
    guest.call(host.Call.INTERRUPT_ATTACH, systems.CODE, 0).call(host.Call.TIMER_SET, 1, 1)
    guest.run(100_000)
    script.handler(0, systems.CODE).call(host.Call.INTERRUPT_RETURN)
    done = host.run(system, script, 10_000)
    own = [event for event in done.events if event.partition == 0]
    assert {event.tick % 1000 // 100 for event in own if event.type == host.HEALTH} - {0}
    assert done.views[1].ticks == quiet.views[1].ticks == 9000
    alone = host.run(System([busy], [(1000, [(0, 0, 100)])], health=log), script, 10_000)
    assert done.returns - alone.returns == 10  # one a window


def tie(**how: object) -> host.Run:
    """At tick 500 the call of B to A times out, and an instruction of A faults."""
    a, b = Partition("test.A"), Partition("test.B")
    c = Partition("test.C", inputs=((16, 4),))
    channel = Channel(CALLS, 1, (0,), systems.SERVICE, systems.SERVICE_SIZE)
    windows = [(1, 0, 100), (0, 100, 800), (2, 900, 100)]
    cold = (systems.PARTITION, systems.COLD)
    system = System([a, b, c], [(1000, windows)], [channel], default_health=cold)
    script = host.Script()
    caller = script.start(1).poke(systems.DATA, bytes(16))
    call = (system.port(1, 0), systems.DATA, 16, systems.DATA + 64, 16, 499)
    caller.call(host.Call.CALL, *call).run(100_000)
    script.start(0).run(400).fault(host.FAULT_READ, 0)
    script.start(2).run(100_000)
    return host.run(system, script, 3000, **how)  # type: ignore[arg-type]


def test_what_comes_at_the_same_tick_does_not_depend_on_who_is_stopped() -> None:
    plain = tie()
    assert plain.results(1, host.Call.CALL)[0][:2] == (500, host.Code.TIMED_OUT)
    assert tie(slice=500).stream == plain.stream
    assert tie(inputs=[(500, 0, b"x")]).visible(1) == plain.visible(1)


def test_a_switch_that_is_taken_back_is_nobody_elses_business() -> None:
    windows = [(0, 0, 100), (1, 100, 100), (0, 200, 100)]
    parts = [Partition("test.A", privileges=("schedule-switch",)), Partition("test.B")]
    seen = []
    for number in (0, 1):
        script = host.Script()
        asks = script.start(0).call(host.Call.SCHEDULE_SWITCH, number)
        asks.call(host.Call.SCHEDULE_STATUS, systems.DATA).peek(systems.DATA, 16).run(97)
        asks.call(host.Call.SCHEDULE_SWITCH, 0).run(10_000)
        status = script.start(1).call(host.Call.SCHEDULE_STATUS, systems.DATA)
        status.peek(systems.DATA, 16).run(1000)
        done = host.run(System(parts, [(300, windows), (300, windows)]), script, 290)
        assert done.peeked(0)[0][4] == number
        seen.append(done.visible(1))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("limit", [None, (0, 5000, systems.STOP), (1, 5000, systems.STOP)])
def test_a_deadline_that_stops_the_module_stops_who_runs(
    limit: tuple[int, int, int] | None,
) -> None:
    """At its tick: nothing of what the other would still have written is there."""
    slow = Partition("test.B", period=1000, deadline=500, limit=limit)
    row = (systems.PARTITION, systems.COLD) if limit else (systems.MODULE, systems.STOP)
    windows = [(1, 0, 50), (0, 50, 950)]
    system = System([Partition("test.A"), slow], [(1000, windows)], health={systems.DEADLINE: row})
    script = host.Script()
    script.start(0).run(10_000)
    script.start(1).normal().run(100_000)
    done = host.run(system, script, 5000)
    (stop,) = done.of(host.STOP)
    assert done.stopped and stop.tick == done.now
    assert stop.tick % 1000 == 500
    assert done.views[0].ticks == stop.tick // 1000 * 950 + 450


def partition(random: Random, number: int, shared: int) -> Partition:
    period = random.choice([0, 1500])
    return Partition(
        systems.CLASSES[number],
        period=period,
        deadline=random.choice([0, 700]) if period else 0,
        limit=(2, 5000, systems.IDLE) if random.random() < 0.3 else None,
        inputs=((16, 2),),
        shared=shared,
    )


def divided(random: Random) -> System:
    """Four partitions without privileges in some order: influence goes forward only, or both ways
    within the first and the second half."""
    order = random.sample(range(4), 4)
    channels = []
    for kind in random.choices([SAMPLING, SAMPLING, QUEUING, CALLS], k=5):
        if kind == SAMPLING:
            a, b = sorted(random.sample(range(4), 2))
        else:
            a, b = random.choice([(0, 1), (1, 0), (2, 3), (3, 2)])
        endpoint = systems.SERVICE if kind == CALLS else systems.WIDE
        depth = 2 if kind == QUEUING else 0
        channels.append(Channel(kind, order[a], (order[b],), endpoint, fuzz.SIZES[endpoint], depth))
    sharing = random.choice([[], order[:2], order[2:]])
    actions = [systems.COLD, systems.WARM, systems.LOG, systems.IDLE]
    windows = [(n, 300 * place, random.randint(50, 300)) for place, n in enumerate(order)]
    return System(
        [partition(random, n, systems.R | systems.W if n in sharing else 0) for n in range(4)],
        [(1200, windows)],
        channels,
        health={
            error: (systems.PARTITION, random.choice(actions))
            for error in range(systems.ERRORS)
            if error != systems.OVERFLOW
        },
        default_health=(systems.PARTITION, systems.LOG),
        costs=(7, 2, 5),
    )


def traces(arguments: list[str], seed: int, changed: int, other: int) -> list[str]:
    """The hash of each partition's own trace; partition `changed` behaves as seed `other` says."""
    mode = ["fuzz", *arguments, "--seed", seed, "--steps", 10**9, "--until", 60_000]
    out = host.execute([*mode, "--reseed", changed, other])
    return [line.split()[2] for line in out.splitlines() if line.startswith("partition")]


@pytest.mark.parametrize("seed", range(12))
def test_bystanders_do_not_see_a_neighbour(seed: int) -> None:
    random = Random(seed)
    system = divided(random)
    compared = 0
    with fuzz.files_of(system, [systems.policy(fuzz.EVERYTHING)], random, 60_000) as arguments:
        for changed in range(4):
            seen = [traces(arguments, seed, changed, other) for other in (1, 2, 3)]
            assert len({each[changed] for each in seen}) == 3  # it did behave differently
            for bystander in set(range(4)) - reach(system, changed):
                assert len({each[bystander] for each in seen}) == 1, (changed, bystander)
                compared += 1
    assert compared > 0


def test_a_path_shows() -> None:
    """The test above can fail: along a channel the reader's trace does change."""
    system = System(
        [Partition("test.A", shared=0), Partition("test.B", shared=0)],
        [(1000, [(0, 0, 500), (1, 500, 500)])],
        [Channel(SAMPLING, 0, (1,), systems.WIDE, 64)],
    )
    random = Random(1)
    with fuzz.files_of(system, [systems.policy(fuzz.EVERYTHING)], random, 60_000) as arguments:
        seen = [traces(arguments, 5, 0, other) for other in range(1, 6)]
    assert len({each[1] for each in seen}) > 1
