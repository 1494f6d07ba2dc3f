"""Nanoseconds of a verdict, and of the table look-up beside it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from kss.errors import KssError
from kss.events import Event
from kss.vm import Vm, measuring_loop

ROUNDS = 15
#: Entries of a table that does not fit the first cache: a look-up takes about 5 ns.
TABLE = 1 << 17
REPEATS = TABLE  # so that a round sees all of it


class Cost(NamedTuple):
    """Nanoseconds, and those of a look-up at the same time."""

    taken: float
    look_up: float


def beside(measure: Callable[[], float]) -> Cost:
    """Both in turn, the best of many short rounds: what else the machine does meanwhile slows both
    down, and not all rounds. Each begins twice, for it has driven the other out of the caches."""
    rounds = [(_again(measure), _again(_look_up)) for _ in range(ROUNDS)]
    return Cost(*map(min, zip(*rounds, strict=True)))


def _again(measure: Callable[[], float]) -> float:
    measure()
    return measure()


def verdict(vm: Vm, events: Sequence[Event], *, denied: bool = False) -> Cost:
    """A verdict on the events in turn.

    Raises KssError if not all of them are granted, or with `denied`, denied.
    """
    wanted = 0 if denied else REPEATS

    def measure() -> float:
        took, granted = vm.measure(events, REPEATS)
        if granted != wanted:
            raise KssError("the events of a benchmark were not decided as they should be")
        return took

    return beside(measure)


def _look_up() -> float:
    """A look-up in a table of 512 KiB, in no order that a processor could guess."""
    return float(measuring_loop("look_up")(_table(), REPEATS))


@cache
def _table() -> ctypes.Array[ctypes.c_uint32]:
    """Each entry is the index of the next."""
    order = list(range(1, TABLE))
    Random(1).shuffle(order)
    table = (ctypes.c_uint32 * TABLE)()
    for here, there in zip([0, *order], [*order, 0], strict=True):
        table[here] = there
    return table
