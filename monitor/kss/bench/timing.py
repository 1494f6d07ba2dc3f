"""Nanoseconds of a verdict, and of the table look-up beside it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from kss.errors import KssError
from kss.events import Event
from kss.vm import Vm, measure_look_up

ROUNDS, REPEATS = 7, 200_000
#: Entries of a table that does not fit the first cache: a look-up takes about 5 ns.
TABLE = 1 << 17


def look_up() -> float:
    """A look-up in a table of 512 KiB, in no order that a processor could guess: the best of
    several rounds."""
    order = list(range(1, TABLE))
    Random(1).shuffle(order)
    table = [0] * TABLE
    for here, there in zip([0, *order], [*order, 0], strict=True):
        table[here] = there
    return min(measure_look_up(table, REPEATS) for _ in range(ROUNDS))


def verdict(vm: Vm, events: Sequence[Event], *, denied: bool = False) -> float:
    """A verdict on the events in turn, the best of several rounds.

    Raises KssError if not all of them are granted, or with `denied`, denied.
    """
    rounds = [vm.measure(events, REPEATS) for _ in range(ROUNDS)]
    wanted = 0 if denied else REPEATS
    if any(granted != wanted for _, granted in rounds):
        raise KssError("the events of a benchmark were not decided as they should be")
    return min(took for took, _ in rounds)
