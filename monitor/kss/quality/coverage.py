"""What of a policy events reach: bindings, sections, branches of choices, rules.

A rule is hit when it is called; that it granted and that it denied are counted beside, because a
rule that was never seen to deny has not been tested for what it is there for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kss import tree
from kss.errors import Location
from kss.events import Event, Result
from kss.layout import Endpoint, Method
from kss.models.model import MAX_SIDS
from kss.reference import Evaluation, Reference
from kss.tree import Binding, Choice, Item, Match, PolicyTree, Rule


@dataclass
class Hits:
    """How often what was reached, by identity of the tree's nodes, branches by (node, number)."""

    sections: Counter[int] = field(default_factory=Counter)
    branches: Counter[tuple[int, int]] = field(default_factory=Counter)
    results: Counter[tuple[int, Result]] = field(default_factory=Counter)


class Covering(Reference):
    """A reference interpreter that counts what it reaches."""

    def __init__(self, policy: PolicyTree, hits: Hits, *, max_sids: int = MAX_SIDS) -> None:
        super().__init__(policy, max_sids=max_sids)
        self._hits = hits

    def evaluation(self, event: Event, called: tuple[Endpoint, Method] | None) -> Evaluation:
        return _Counting(self.policy, self._contexts, event, called, self._hits)


class _Counting(Evaluation):
    def __init__(
        self,
        policy: PolicyTree,
        contexts: dict[str, Any],
        event: Event,
        called: tuple[Endpoint, Method] | None,
        hits: Hits,
    ) -> None:
        super().__init__(policy, contexts, event, called)
        self._hits = hits

    def section(self, section: Binding | Match) -> None:
        if self.holds(section.condition):
            self._hits.sections[id(section)] += 1
            self.items(section.items)

    def branch(self, choice: Choice) -> int | None:
        taken = super().branch(choice)
        self._hits.branches[id(choice), -1 if taken is None else taken] += 1
        return taken

    def rule(self, rule: Rule) -> None:
        super().rule(rule)
        self._hits.results[self.calls[-1]] += 1


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to reach. `kind`: binding, match, branch or rule. `granted` and `denied` are those
    of a rule."""

    kind: str
    file: str
    line: int
    text: str
    hits: int
    granted: int = 0
    denied: int = 0

    def to_json(self) -> dict[str, Any]:
        shown = {"kind": self.kind, "file": self.file, "line": self.line}
        shown |= {"text": self.text, "hits": self.hits}
        if self.kind == "rule":
            shown |= {"granted": self.granted, "denied": self.denied}
        return shown


@dataclass(frozen=True, slots=True)
class Coverage:
    rows: tuple[Row, ...]

    @property
    def missed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if not row.hits)

    @property
    def ratio(self) -> float:
        return 1 - len(self.missed) / len(self.rows) if self.rows else 1.0

    def to_json(self) -> dict[str, Any]:
        return {"rules": [row.to_json() for row in self.rows], "ratio": round(self.ratio, 4)}


def coverage(policy: PolicyTree, hits: Hits) -> Coverage:
    """Everything that can be reached, in the order of the policy, with how often it was."""
    return Coverage(tuple(_rows(policy, hits)))


def _rows(policy: PolicyTree, hits: Hits) -> Iterator[Row]:
    for binding in policy.bindings:
        text = _line(binding.text.partition("{")[0])
        yield _row("binding", binding.location, text, hits.sections[id(binding)])
        yield from _item_rows(policy, binding.items, hits)


def _item_rows(policy: PolicyTree, items: tuple[Item, ...], hits: Hits) -> Iterator[Row]:
    for item in items:
        match item:
            case Match():
                yield _row("match", item.location, "section", hits.sections[id(item)])
                yield from _item_rows(policy, item.items, hits)
            case Choice():
                yield from _choice_rows(policy, item, hits)
            case Rule():
                site = policy.sites[item.site]
                granted, denied = (
                    hits.results[item.site, result] for result in (Result.GRANTED, Result.DENIED)
                )
                at, text = site.location, _line(site.text)
                yield Row("rule", at.file, at.line, text, granted + denied, granted, denied)
            case tree.Evaluate():
                pass


def _choice_rows(policy: PolicyTree, choice: Choice, hits: Hits) -> Iterator[Row]:
    at = policy.sites[choice.site].location
    for number, branch in enumerate(choice.branches):
        label = f'"{branch.label}"' if isinstance(branch.label, str) else str(branch.label).lower()
        yield _row("branch", at, label, hits.branches[id(choice), number])
        yield from _item_rows(policy, branch.items, hits)
    if choice.default is not None:
        yield _row("branch", at, "_", hits.branches[id(choice), -1])
        yield from _item_rows(policy, choice.default, hits)


def _row(kind: str, at: Location, text: str, hits: int) -> Row:
    return Row(kind, at.file, at.line, text, hits)


def _line(text: str) -> str:
    return " ".join(text.split())
