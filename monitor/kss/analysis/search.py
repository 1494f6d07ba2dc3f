"""Search over boxes: from everything to smaller boxes until each is certain or the budget is gone.

A box is cut where its quantities meet a number that the guards compare with, for between such
numbers seldom anything changes; only then in halves, and corners are tried. Boxes that took fewer
halvings come first, of those the latest. What a box makes certain is not looked at again in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Hashable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

from kss.analysis.abstract import Box, Policy
from kss.analysis.guard import Guard
from kss.analysis.outcome import Outcome
from kss.analysis.values import Choices, Domain, Numbers

USUAL = 16  # quantities that a guard of usual size looks up

Open: TypeAlias = list[tuple[Hashable, Domain]]
Guards: TypeAlias = tuple[Guard, ...]
Verdicts: TypeAlias = tuple[bool, ...]


class Cut(NamedTuple):
    """A quantity in parts, which are all of it if `exhaustive`. `rank` is 0 at one of the first
    numbers, 1 at another one, and grows with the number of halvings."""

    key: Hashable
    parts: list[Domain]
    exhaustive: bool
    rank: int


class Search:
    """Which of some guards grant, by box. `numbers` are those that they compare with, `first` some
    of them at which boxes are cut before. After `leaves` has run out, `complete` tells whether it
    has covered everything."""

    def __init__(
        self,
        guards: Sequence[tuple[Policy, Guard]],
        numbers: Collection[int],
        budget: int,
        first: Collection[int] = (),
    ) -> None:
        self._policies = [policy for policy, _ in guards]
        self._guards = tuple(guard for _, guard in guards)
        self._cuts = [_cuts(first), _cuts(numbers)]
        self.budget = budget  # boxes of guards of usual size
        self.steps = 0  # taken out of it
        self.complete = True

    def leaves(self, start: Box) -> Iterator[tuple[Box, Verdicts]]:
        """Boxes in which all verdicts are certain; those that are points may lie within others."""
        waiting: list[tuple[int, int, Box, Guards]] = [(0, 0, start, self._guards)]
        count = 0
        while waiting:
            rank, _, box, guards = heappop(waiting)
            if self.budget <= 0:
                self.complete = False
                return
            certain, open, rest = self._look(box, guards)
            if certain is not None:
                yield box, certain
                continue
            cut = self._cut(open)
            if cut is None:
                yield from self._corners(box, rest)
                cut = _halved(open, max(rank, 1) + 1)
            if cut is None:
                self.complete = False
                continue
            self.complete &= cut.exhaustive
            for part in reversed(cut.parts):
                count -= 1
                heappush(waiting, (max(rank, cut.rank), count, {**box, cut.key: part}, rest))

    def _spend(self, outcome: Outcome) -> None:
        steps = 1 + outcome.looks // USUAL
        self.steps += steps
        self.budget -= steps

    def _look(self, box: Box, guards: Guards) -> tuple[Verdicts | None, Open, Guards]:
        """The verdicts if they are certain, what that hangs on, and what is left of the guards."""
        verdicts: list[bool | None] = []
        open: Open = []
        rest: list[Guard] = []
        for policy, guard in zip(self._policies, guards, strict=True):
            outcome = Outcome(policy, box)
            verdicts.append(outcome.granted(guard))
            self._spend(outcome)
            open += outcome.open
            rest.append(outcome.rest)
        return _all(verdicts), open, tuple(rest)

    def _corners(self, box: Box, guards: Guards) -> Iterator[tuple[Box, Verdicts]]:
        """Two points of a box."""
        for pick in (_lowest, _highest):
            point = dict(box)
            verdicts: list[bool | None] = []
            for policy, guard in zip(self._policies, guards, strict=True):
                outcome = Outcome(policy, point, pick)
                verdicts.append(outcome.granted(guard))
                self._spend(outcome)
                point |= outcome.picked
            certain = _all(verdicts)
            if certain is not None:
                yield point, certain

    def _cut(self, open: Open) -> Cut | None:
        """The first quantity that has alternatives, or bounds on both sides of a cut."""
        for rank, cuts in enumerate(self._cuts):
            for key, domain in open:
                if isinstance(domain, Choices):
                    parts: list[Domain] = [Choices((value,)) for value in domain.values]
                    return Cut(key, parts, not domain.partial, rank)
                low, high = bisect_right(cuts, domain.low), bisect_left(cuts, domain.high + 1)
                if low < high:
                    return Cut(key, _split(domain, cuts[(low + high) // 2]), True, rank)
        return None


def _all(verdicts: list[bool | None]) -> Verdicts | None:
    certain = tuple(verdict for verdict in verdicts if verdict is not None)
    return certain if len(certain) == len(verdicts) else None


def _cuts(numbers: Collection[int]) -> list[int]:
    return sorted({cut for number in numbers for cut in (number, number + 1)})


def _halved(open: Open, rank: int) -> Cut | None:
    """The first number in two halves."""
    for key, domain in open:
        if isinstance(domain, Numbers):
            middle = (domain.low + domain.high) // 2 + 1
            return Cut(key, _split(domain, middle), True, rank)
    return None


def _split(domain: Numbers, at: int) -> list[Domain]:
    return [Numbers(domain.low, at - 1), Numbers(at, domain.high)]


def _lowest(domain: Domain) -> Domain:
    if isinstance(domain, Numbers):
        return Numbers(domain.low, domain.low)
    return Choices(domain.values[:1])


def _highest(domain: Domain) -> Domain:
    if isinstance(domain, Numbers):
        return Numbers(domain.high, domain.high)
    return Choices(domain.values[-1:])
