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

ROUNDS = 100
#: Verdicts of a round: short, so that some rounds fall between what else the machine does.
REPEATS = 1 << 15
#: Entries of a table that does not fit the first cache: a look-up takes about 5 ns.
TABLE = 1 << 17
#: Entries of one as large as the contexts of 100,000 SIDs.
LARGE_TABLE = 1 << 20


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


def look_up(entries: int) -> float:
    """Nanoseconds of a look-up in a table of so many words, the best of some rounds."""
    return min(_look_up(entries) for _ in range(10))


def _look_up(entries: int = TABLE) -> float:
    """In no order that a processor could guess; a round sees all of the table."""
    return float(measuring_loop("look_up")(_table(entries), entries))


@cache
def _table(entries: int) -> ctypes.Array[ctypes.c_uint32]:
    """Each entry is the index of the next."""
    order = list(range(1, entries))
    Random(1).shuffle(order)
    table = (ctypes.c_uint32 * entries)()
    for here, there in zip([0, *order], [*order, 0], strict=True):
        table[here] = there
    return table
