"""Search over boxes: from everything to smaller boxes until each is certain or the budget is gone.

A box is cut where its quantities meet a number that the guards compare with, for between such
numbers seldom anything changes; only then in halves, and corners are tried. Boxes with fewer
halvings come first, of those the latest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic, TypeAlias, TypeVar

from kss.analysis.abstract import Box
from kss.analysis.values import Choices, Domain, Numbers

T = TypeVar("T")
Pick: TypeAlias = Callable[[Domain], Domain]
Open: TypeAlias = list[tuple[Hashable, Domain]]


@dataclass
class Search(Generic[T]):
    """`ask` evaluates a box, or a point of it if it is to pick values: it answers what is certain
    (None: nothing), what that hangs on, and the values picked. After `leaves` has run out,
    `complete` tells whether it has covered everything."""

    ask: Callable[[Box, Pick | None], tuple[T | None, Open, Box]]
    numbers: Iterable[int]
    budget: int
    complete: bool = True

    def leaves(self, start: Box) -> Iterator[tuple[Box, T]]:
        """Boxes in which something is certain; those that are points may lie within others."""
        cuts = sorted({cut for number in self.numbers for cut in (number, number + 1)})
        waiting: list[tuple[int, int, Box]] = [(0, 0, start)]
        count = 0
        while waiting:
            halvings, _, box = heappop(waiting)
            if self.budget <= 0:
                self.complete = False
                return
            self.budget -= 1
            certain, open, _ = self.ask(box, None)
            if certain is not None:
                yield box, certain
                continue
            cut = _cut(open, cuts)
            if cut is None:
                yield from self._corners(box)
                cut = _halves(open)
                halvings += 1
            if cut is None:
                self.complete = False
                continue
            key, parts, exhaustive = cut
            self.complete &= exhaustive
            for part in reversed(parts):
                count -= 1
                heappush(waiting, (halvings, count, {**box, key: part}))

    def _corners(self, box: Box) -> Iterator[tuple[Box, T]]:
        for pick in (_lowest, _highest):
            self.budget -= 1
            certain, _, picked = self.ask(box, pick)
            if certain is not None:
                yield {**box, **picked}, certain


def _lowest(domain: Domain) -> Domain:
    if isinstance(domain, Numbers):
        return Numbers(domain.low, domain.low)
    return Choices(domain.values[:1])


def _highest(domain: Domain) -> Domain:
    if isinstance(domain, Numbers):
        return Numbers(domain.high, domain.high)
    return Choices(domain.values[-1:])


Cut: TypeAlias = tuple[Hashable, list[Domain], bool]


def _cut(open: Open, cuts: list[int]) -> Cut | None:
    """The first quantity that has alternatives, or bounds on both sides of a cut; its parts, and
    whether they are all of it."""
    for key, domain in open:
        if isinstance(domain, Choices):
            return key, [Choices((value,)) for value in domain.values], not domain.partial
        inside = cuts[bisect_right(cuts, domain.low) : bisect_left(cuts, domain.high + 1)]
        if inside:
            middle = inside[len(inside) // 2]
            return key, _split(domain, middle), True
    return None


def _halves(open: Open) -> Cut | None:
    """The first number in two halves."""
    for key, domain in open:
        if isinstance(domain, Numbers):
            return key, _split(domain, (domain.low + domain.high) // 2 + 1), True
    return None


def _split(domain: Numbers, at: int) -> list[Domain]:
    return [Numbers(domain.low, at - 1), Numbers(at, domain.high)]
