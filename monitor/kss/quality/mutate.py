"""Whether the tests of a policy notice that a rule of it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kss.api import Policy
from kss.models.model import MAX_SIDS
from kss.pal import run
from kss.quality.mutations import Mutation, mutations
from kss.reference import Reference
from kss.tree import PolicyTree


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutation that no test noticed."""

    file: str
    line: int
    rule: str
    change: str

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "rule": self.rule, "change": self.change}


@dataclass(frozen=True, slots=True)
class Score:
    """`killed` of `total` mutations were noticed."""

    total: int
    survivors: tuple[Survivor, ...]

    @property
    def killed(self) -> int:
        return self.total - len(self.survivors)

    @property
    def ratio(self) -> float:
        return self.killed / self.total if self.total else 1.0

    def to_json(self) -> dict[str, Any]:
        return {
            "score": round(self.ratio, 4),
            "mutations": self.total,
            "survivors": [each.to_json() for each in self.survivors],
        }


def passes(policy: Policy, max_sids: int = MAX_SIDS) -> bool:
    """Whether all tests of the policy pass, judged by the reference interpreter."""
    return not _notices(policy, policy.tree, max_sids)


def mutate(
    policy: Policy,
    progress: Callable[[int, int], None] | None = None,
    max_sids: int = MAX_SIDS,
) -> Score:
    """Runs the tests against every mutation. They should pass for the policy itself."""
    all_of_them = list(mutations(policy.tree))
    survivors = []
    for number, mutation in enumerate(all_of_them, start=1):
        if not _notices(policy, mutation.tree, max_sids):
            survivors.append(_survivor(mutation))
        if progress is not None:
            progress(number, len(all_of_them))
    return Score(len(all_of_them), tuple(survivors))


def _notices(policy: Policy, changed: PolicyTree, max_sids: int) -> bool:
    """Whether a test fails; the first one that does is enough."""

    def start() -> dict[str, run.Engine]:
        return {"reference": Reference(changed, max_sids=max_sids)}

    return any(not result.passed for result in run.run(replace(policy, tree=changed), start))


def _survivor(mutation: Mutation) -> Survivor:
    at = mutation.site.location
    text = " ".join(mutation.site.text.split())
    return Survivor(at.file, at.line, text, mutation.change)
