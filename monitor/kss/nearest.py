"""Why no rule was called: the section of the policy that comes closest to an event.

    sections(policy)                      the conditions under which rules are called
    nearest(sections, kind, names)        the closest of those for such events
    advice(sections, kind, names)         the same as words

It needs names only, so that it serves for traces, too, which carry the sections of their policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kss import tree
from kss.errors import Location
from kss.events import Kind
from kss.tree import Condition, PolicyTree

SELECTORS = ("src", "dst", "interface", "component", "endpoint", "method")


@dataclass(frozen=True, slots=True)
class EventNames:
    """An event as selectors see it; None where the event has no such thing."""

    kind: Kind
    src: str | None = None
    dst: str | None = None
    interface: str | None = None
    component: str | None = None
    endpoint: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A binding, or a `match` section in it, that holds a rule: what must hold for its rules to be
    called. `kind` is the word of the policy, `selectors` include those around the section, `text`
    is the binding's header."""

    kind: str
    selectors: Mapping[str, str]
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Nearest:
    """The section at `index` of those given, and what it selects instead: (selector, wanted,
    given), none if all of it holds."""

    index: int
    section: Section
    misses: tuple[tuple[str, str, str | None], ...]

    def __str__(self) -> str:
        place = f"nearest is {self.section.file}:{self.section.line}"
        wants = ", ".join(f"{key}={wanted}" for key, wanted, _ in self.misses)
        return f"{place}, which wants {wants}" if wants else f"{place}, whose choice led to none"


def sections(policy: PolicyTree) -> tuple[Section, ...]:
    """The sections of a policy that hold rules, in order."""
    return tuple(
        section
        for binding in policy.bindings
        for section in _sections(policy, binding, binding.items, binding.location, {})
    )


def nearest(
    sections: Iterable[Section], kind: str, names: Mapping[str, str | None]
) -> Nearest | None:
    """The section for events of this kind that agrees best with `names` (selector -> name, as
    `EventNames` has them): agreements count for it and misses against it; the first of equals.
    None if no section for such events has a name in common with the event."""
    best: Nearest | None = None
    best_rank: tuple[int, int] | None = None
    for index, section in enumerate(sections):
        if section.kind != kind:
            continue
        wanted = section.selectors
        misses = tuple((k, wanted[k], names.get(k)) for k in wanted if wanted[k] != names.get(k))
        agreed = len(wanted) - len(misses)
        rank = (len(misses) - agreed, len(misses))
        if (agreed or not misses) and (best_rank is None or rank < best_rank):
            best, best_rank = Nearest(index, section, misses), rank
    return best


def advice(sections: Iterable[Section], kind: str, names: Mapping[str, str | None]) -> str:
    """`nearest` in words; if there is none, that."""
    known = tuple(sections)
    found = nearest(known, kind, names)
    if found is not None:
        return str(found)
    if any(section.kind == kind for section in known):
        return f"none comes near: no {kind} rule names anything of this event"
    return f"the policy has no rule for {kind} events"


def _sections(
    policy: PolicyTree,
    binding: tree.Binding,
    items: tuple[tree.Item, ...],
    location: Location,
    around: Mapping[str, str],
    condition: Condition | None = None,
) -> Iterator[Section]:
    selectors = {**around, **_selectors(policy, condition or binding.condition)}
    if any(isinstance(item, tree.Rule | tree.Choice) for item in items):
        kind = binding.kind.name.lower()
        yield Section(kind, selectors, location.file, location.line, binding.text)
    for match in _matches(items):
        inner = (match.items, match.location, selectors, match.condition)
        yield from _sections(policy, binding, *inner)


def _matches(items: tuple[tree.Item, ...]) -> Iterator[tree.Match]:
    """The `match` sections among the items and in branches of choices among them."""
    for item in items:
        if isinstance(item, tree.Match):
            yield item
        elif isinstance(item, tree.Choice):
            for branch in (*(branch.items for branch in item.branches), item.default or ()):
                yield from _matches(branch)


def _selectors(policy: PolicyTree, condition: Condition) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in SELECTORS:
        value = getattr(condition, key)
        if value is not None:
            found[key] = policy.classes[value].name if key in ("src", "dst") else value
    return found
