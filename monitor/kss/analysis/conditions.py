"""Guards for people: what must hold, line by line, each with the place of its rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kss.analysis.guard import Cases, Evaluable, Grants, Guard, Holds, Part
from kss.analysis.words import Words
from kss.errors import Location
from kss.tree import PolicyTree


@dataclass(frozen=True, slots=True)
class Condition:
    """One of several that must all hold. Of a choice, `branches` has (label, what must hold then);
    the label of what remains is `_`."""

    text: str
    location: Location
    branches: tuple[tuple[str, Conditions], ...] = ()


@dataclass(frozen=True, slots=True)
class Conditions:
    """All must hold. Without any, the event is granted or denied (`outcome`), or `outcome` is
    "uncalled": no rule is called here, so that another choice must lead to one."""

    conditions: tuple[Condition, ...]
    outcome: str
    location: Location | None = None


class Describer:
    """Describes guards of one policy."""

    def __init__(self, policy: PolicyTree) -> None:
        self._sites = policy.sites
        self._words = Words(policy.objects)

    def place(self, site: int) -> Location:
        return self._sites[site].location

    def conditions(self, guard: Guard) -> Conditions:
        return self._conditions(guard, called=False)

    def _conditions(self, guard: Guard, called: bool | None) -> Conditions:
        """`called` tells whether a rule is called elsewhere, None if that is not certain."""
        if guard.refused is not None:
            return Conditions((), "denied", self.place(guard.refused))
        choices = [part for part in guard.parts if isinstance(part, Cases)]
        within = True if guard.called or called else None if len(choices) > 1 else called
        parts = tuple(self._condition(part, within) for part in guard.parts)
        if parts:
            return Conditions(parts, "conditional")
        if within:
            location = self.place(guard.granting[0]) if guard.granting else None
            return Conditions((), "granted", location)
        return Conditions((), "uncalled" if within is None else "denied")

    def _condition(self, part: Part, called: bool | None) -> Condition:
        location = self.place(part.site)
        match part:
            case Holds(_, condition):
                return Condition(self._words.of(condition), location)
            case Evaluable(_, value):
                return Condition(f"{self._words.of(value)} can be evaluated", location)
            case Grants(_, rule):
                return Condition(self._words.call(rule), location)
        branches = [
            (self._words.label(label), self._conditions(guard, called))
            for label, guard in part.branches
        ]
        if part.default is not None:
            branches.append(("_", self._conditions(part.default, called)))
        return Condition(f"choice ({self._words.of(part.value)})", location, tuple(branches))


def lines(conditions: Conditions, indent: int = 0) -> Iterator[tuple[int, str, Location | None]]:
    """(indentation, text, place) of each line; nothing for what has no conditions."""
    for condition in conditions.conditions:
        yield indent, condition.text, condition.location
        for label, inner in condition.branches:
            if not inner.conditions:
                yield indent + 1, f"{label} : {_OUTCOMES[inner.outcome]}", inner.location
            elif len(inner.conditions) == 1 and not inner.conditions[0].branches:
                only = inner.conditions[0]
                yield indent + 1, f"{label} : {only.text}", only.location
            else:
                yield indent + 1, f"{label} :", None
                yield from lines(inner, indent + 2)


_OUTCOMES = {
    "granted": "granted",
    "denied": "denied",
    "uncalled": "granted if the other choice calls a rule",
}


def sentence(conditions: Conditions) -> str:
    """All on one line, as an expression of the policy language as far as there is one."""
    return " && ".join(
        _sentence(condition, len(conditions.conditions)) for condition in conditions.conditions
    )


def _sentence(condition: Condition, beside: int) -> str:
    if not condition.branches:
        loose = beside > 1 and any(f" {word} " in condition.text for word in ("||", "==>"))
        return f"({condition.text})" if loose else condition.text
    branches = (
        f"{label} : {sentence(inner) or _OUTCOMES[inner.outcome]}"
        for label, inner in condition.branches
    )
    return f"{condition.text} {{ {', '.join(branches)} }}"


def to_json(conditions: Conditions) -> list[dict[str, Any]]:
    return [_condition_json(condition) for condition in conditions.conditions]


def _condition_json(condition: Condition) -> dict[str, Any]:
    at = condition.location
    shown: dict[str, Any] = {"text": condition.text, "file": at.file, "line": at.line}
    if condition.branches:
        shown["branches"] = [
            {"label": label, "verdict": inner.outcome, "conditions": to_json(inner)}
            for label, inner in condition.branches
        ]
    return shown


def places(sites: Sequence[int], describer: Describer) -> list[dict[str, Any]]:
    """File and line of each, once."""
    found = dict.fromkeys((at.file, at.line) for at in map(describer.place, sites))
    return [{"file": file, "line": line} for file, line in found]
