"""Whether a guard always, never or sometimes grants."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from kss.analysis.abstract import Policy
from kss.analysis.guard import Guard
from kss.analysis.observed import Observed
from kss.analysis.search import Search
from kss.tree import PolicyObject

BUDGET = 48  # boxes that a guard is worth


class Verdict(StrEnum):
    """Of an interaction: `granted` and `denied` hold for every message and state. `not known` is
    what hangs on a file that is not there (`kss.stubs`)."""

    GRANTED = "granted"
    CONDITIONAL = "conditional"
    DENIED = "denied"
    UNKNOWN = "not known"


def verdict(guard: Guard, objects: Sequence[PolicyObject]) -> Verdict:
    """Conditional, unless it is certain that it is not."""
    if guard.refused is not None:
        return Verdict.DENIED
    if not guard.parts:
        return Verdict.GRANTED if guard.called else Verdict.DENIED
    seen = Observed()
    seen.add(guard, objects)
    policy = Policy(objects, seen.texts(), seen.labels)

    search = Search([(policy, guard)], seen.numbers, BUDGET)
    found: set[bool] = set()
    for _, (granted,) in search.leaves({}):
        found.add(granted)
        if len(found) == 2:
            return Verdict.CONDITIONAL
    if not search.complete:
        return Verdict.CONDITIONAL
    return Verdict.GRANTED if found == {True} else Verdict.DENIED
