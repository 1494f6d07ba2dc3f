"""What a policy swap did to the state of the policy's objects, which is kept by name, model, types
and configuration.

The kernel tells a bit for each object of the new policy. Its name, and why it was reset, come from
the maps of both policies (see `khs.trace.policy`, "objects").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from khs.trace.events import PolicySwap

Objects = Sequence[Mapping[str, Any]]

_WORDS = ("kept", "reset", "new", "dropped")
#: What must agree for state to be kept, as it is said when it does not.
_REASONS = (
    ("model", "model changed"),
    ("types", "types changed"),
    ("configuration", "configuration changed"),
)


@dataclass(frozen=True, slots=True)
class Fate:
    """`what` is kept, reset, new (the old policy had no such object) or dropped (the new one has
    none); `why` it was reset, "" if that is not known."""

    name: str
    what: str
    why: str = ""

    def __str__(self) -> str:
        return f'"{self.name}"' + (f" ({self.why})" if self.why else "")


def fates(event: PolicySwap, old: Objects, new: Objects) -> list[Fate]:
    """The objects of the new policy in their order, then those of the old one that are no more.
    An object without a name is called by its number."""
    before = {str(row.get("name")): row for row in old}
    told = [
        _fate(kept, new[number] if number < len(new) else None, before, number)
        for number, kept in enumerate(event.objects)
    ]
    if not new:
        return told
    names = {str(row.get("name")) for row in new}
    return told + [Fate(name, "dropped") for name in before if name not in names]


def _fate(
    kept: bool, row: Mapping[str, Any] | None, before: Mapping[str, Mapping[str, Any]], number: int
) -> Fate:
    name = f"object {number}" if row is None else str(row.get("name"))
    if kept:
        return Fate(name, "kept")
    if row is None or not before:
        return Fate(name, "reset")
    if name not in before:
        return Fate(name, "new")
    changed = [why for key, why in _REASONS if row.get(key) != before[name].get(key)]
    return Fate(name, "reset", changed[0] if changed else "no room for its contexts")


def words(told: Sequence[Fate]) -> str:
    """`kept "flow", "door", reset "counters" (types changed)`."""
    groups = [(what, [fate for fate in told if fate.what == what]) for what in _WORDS]
    return ", ".join(f"{what} {', '.join(map(str, group))}" for what, group in groups if group)
