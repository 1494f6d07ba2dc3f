"""Why no rule was called: the binding that comes closest to an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kss import tree
from kss.errors import Location
from kss.events import Kind
from kss.tree import Condition, PolicyTree

_KEYS = ("src", "dst", "interface", "component", "endpoint", "method")


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
class _Path:
    """The conditions of a section that holds a rule, with those around it."""

    conditions: tuple[Condition, ...]
    location: Location


def nearest(policy: PolicyTree, event: EventNames) -> str:
    """One sentence with file and line: the section with a rule that differs in fewest selectors."""
    kind = event.kind.name.lower()
    paths = [
        path
        for binding in policy.bindings
        if binding.kind is event.kind
        for path in _paths(binding.items, (binding.condition,), binding.location)
    ]
    if not paths:
        return f"the policy has no rule for {kind} events at all"
    path = min(paths, key=lambda path: len(_differences(policy, path, event)))
    differences = _differences(policy, path, event)
    where = f"{path.location.file}:{path.location.line}"
    if not differences:
        return f"the {kind} rules at {where} match, but none was called"
    listed = " and ".join(
        f"{key} is {getattr(event, key) or 'absent'}, it selects {wanted}"
        for key, wanted in differences
    )
    return f"the {kind} rules at {where} come closest: {listed}"


def _paths(
    items: tuple[tree.Item, ...], conditions: tuple[Condition, ...], location: Location
) -> Iterator[_Path]:
    if any(isinstance(item, (tree.Rule, tree.Choice)) for item in items):
        yield _Path(conditions, location)
    for item in items:
        if isinstance(item, tree.Match):
            yield from _paths(item.items, (*conditions, item.condition), item.location)


def _differences(policy: PolicyTree, path: _Path, event: EventNames) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for condition in path.conditions:
        for key in _KEYS:
            wanted = getattr(condition, key)
            if wanted is not None and key in ("src", "dst"):
                wanted = policy.classes[wanted].name
            if wanted is not None and wanted != getattr(event, key):
                found.append((key, wanted))
    return found
