"""A randomised walk: at equal positions a system is in equal states, whatever way it took there,
and a walk that only looks changes nothing."""

from __future__ import annotations

import random

import pytest

from khs.debug.stops import Access, Calls, Cause, Events, Noted, Position, Stop, Watch
from khs.debug.target import Target
from tests.debug.systems import target, undebugged
from tests.host.assemble import assemble
from tests.host.cases import CASES
from tests.host.random_code import program
from tests.host.system import COLD, PAGE, RAM, Arch, Partition, System
from tests.host.test_hostile import CALL, PREFIX, again
from tests.host.test_interrupts import GUESTS

FRAMES = 4
WINDOWS = ((0, 700), (1, 301), (2, 499), (3, 41))
#: Waits for its next window; how its flags are meanwhile, is part of the result on x64.
WAITS = {
    Arch.ARMV7: "loop: add r4, r4, #1\nmov r7, #3\nsvc #0\nb loop",
    Arch.X86: "loop: add bl, 37\nmov eax, 3\nint 0x80\njmp loop",
    Arch.X64: "loop: add bl, 37\nmov eax, 3\nsyscall\njmp loop",
}


def hostile(arch: Arch, seed: int) -> bytes:
    """A few of the cases in a loop; the first that faults starts it again."""
    cases = [case.code for case in CASES if case.arch is arch]
    chosen = random.Random(seed).sample(cases, 3)
    code = b"".join(PREFIX[arch] + case + CALL[arch] for case in chosen)
    code += bytes(-len(code) % 4)
    return code + again(arch, len(code))


def system(arch: Arch, seed: int) -> System:
    """Random code, something hostile, and interrupts at any instruction."""
    partitions = [
        Partition(program(arch, seed, wild=seed % 2 == 1), action=COLD),
        Partition(hostile(arch, seed), action=COLD),
        Partition(assemble(arch, GUESTS[arch]), action=COLD),
        Partition(assemble(arch, WAITS[arch])),
    ]
    return System(arch, partitions, WINDOWS, costs=(7, 1, 3), clock_hz=11_000_000)


def wander(target: Target, rng: random.Random) -> Stop:
    """One move."""
    tick = rng.randrange(1500 * FRAMES)
    partition = rng.choice([None, 0, 1, 2])
    return rng.choice(
        [
            target.go,
            lambda: target.go(target.position.tick + rng.randrange(40)),
            lambda: target.step(partition),
            lambda: target.step(partition),
            target.step_window,
            target.step_frame,
            target.back,
            lambda: target.back_step(partition),
            lambda: target.back_step(partition),
            target.back_window,
            target.back_frame,
            lambda: target.go_to(Position(tick)),
            lambda: target.go_to(Position(tick, False)),
        ]
    )()


def aim(target: Target, rng: random.Random) -> None:
    """Other stops."""
    for partition in range(3):
        near = target.registers(partition)[15 if target.arch == "armv7" else -2]
        places = frozenset(near + rng.randrange(-8, 9) * 4 for _ in range(rng.randrange(3)))
        target.set_breakpoints(partition, places if rng.random() < 0.5 else frozenset())
    target.set_calls((Calls(rng.choice([None, 0, 1]), rng.choice([None, frozenset({0})])),))
    target.set_events((Events(rng.choice([Noted.FAULT, Noted.HEALTH])),))
    if rng.random() < 0.5:
        target.set_calls(())
    if rng.random() < 0.7:
        target.set_events(())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("arch", Arch)
def test_a_walk(arch: Arch, seed: int) -> None:
    rng = random.Random(seed)
    made = system(arch, seed)
    states: dict[Position, str] = {}
    histories: dict[Position, int] = {}
    with target(made, FRAMES) as walker:
        for move in range(150):
            if move % 10 == 0:
                aim(walker, rng)
            before = walker.position
            stop = wander(walker, rng)
            assert stop.position == walker.position
            state, length = walker.state_hash(), len(walker.events())
            assert states.setdefault(stop.position, state) == state, (move, before, stop)
            assert histories.setdefault(stop.position, length) == length
        with target(made, FRAMES) as straight:
            for position in sorted(states):
                assert straight.go_to(position).position == position
                assert straight.state_hash() == states[position], position
        walker.set_calls(())
        walker.set_events(())
        for partition in range(3):
            walker.set_breakpoints(partition, frozenset())
        assert walker.go().cause is Cause.END
        assert b"".join(walker.events()) == undebugged(made, FRAMES)


@pytest.mark.parametrize("arch", Arch)
def test_every_step_there_and_back(arch: Arch) -> None:
    """Each instruction, or fault instead of one, takes a tick; in between others pass."""
    made = system(arch, 1)
    with target(made, FRAMES) as walker, target(made, FRAMES) as straight:
        walker.go_to(Position(1400))
        befores: dict[Position, str] = {}
        while walker.position.tick < 2300:
            walker.step()
            before = Position(walker.position.tick - 1)
            straight.go_to(before)
            befores[before] = straight.state_hash()
        assert len(befores) > 300
        for position, state in reversed(befores.items()):
            walker.back_step()
            assert (walker.position, walker.state_hash()) == (position, state)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("arch", Arch)
def test_watched_pages_change_nothing(arch: Arch, seed: int) -> None:
    """Every access to RAM is refused, begun again elsewhere, and here and there stopped behind."""
    made, rng = system(arch, seed), random.Random(seed)
    with target(made, FRAMES) as watched, target(made, FRAMES) as straight:
        for partition in range(3):
            pages = range(RAM, RAM + 0x10000, PAGE)
            watches = (
                Watch(page + rng.randrange(PAGE), 1, rng.choice(list(Access))) for page in pages
            )
            watched.set_watches(partition, tuple(watches))
        for _ in range(400):
            stop = watched.go()
            if stop.cause is Cause.END:
                break
            if rng.random() < 0.05:
                straight.go_to(stop.position)
                assert watched.state_hash() == straight.state_hash(), stop
        else:
            for partition in range(3):
                watched.set_watches(partition, ())
            watched.go()
        straight.go()
        assert watched.state_hash() == straight.state_hash()
        assert b"".join(watched.events()) == undebugged(made, FRAMES)
