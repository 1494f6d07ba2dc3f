"""`kss diff`: which interactions two policies judge differently, each with an example.

An interaction is unchanged if its guards are equal, or if no box of messages and states tells them
apart. Else an example is looked for: with a message out of a box that does, from the start, or
after events that lead to a state that does. What is neither proved nor shown is told as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kss.analysis.compare import BUDGET, WAYS, Comparison, Side, Verdicts, compare
from kss.analysis.conditions import Conditions, Describer, sentence, to_json
from kss.analysis.decide import Verdict, verdict
from kss.analysis.examples import example
from kss.analysis.guard import Guard
from kss.analysis.guards import Guards
from kss.analysis.histories import Histories, Tries
from kss.analysis.interactions import Interaction
from kss.analysis.replay import Line, Replay
from kss.recursion import deep_recursion

_Known: TypeAlias = Mapping[tuple[str, ...], tuple[Interaction, Guard]]
_MOST_TRIED = 4  # messages, in each state
ALL_STEPS = 20 * BUDGET  # for all interactions; what comes later gets but a few
FEW_STEPS = BUDGET // 20


@dataclass(frozen=True, slots=True)
class Said:
    """What a policy says of an interaction in general."""

    verdict: Verdict
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Change:
    """After `history`, the two policies judge `example` as `verdicts` says. Both are None if it is
    not known whether they ever differ, and `why` tells why. `old` or `new` is None if that policy
    does not know the interaction, and so denies it."""

    interaction: Interaction
    old: Said | None
    new: Said | None
    verdicts: Verdicts | None = None
    example: Line | None = None
    history: tuple[Line, ...] = ()
    why: str = ""


class Diff:
    """Compares two policies."""

    def __init__(self, old: Replay, new: Replay) -> None:
        self._replays = (old, new)
        self._describers = [Describer(replay.policy.tree) for replay in self._replays]
        self._histories = Histories(self._replays)
        self._left = ALL_STEPS
        self._compared: dict[tuple[int, int, bool], tuple[Guard, Guard, Comparison]] = {}

    def changes(self) -> Iterator[Change]:
        """By kind, server, endpoint, method and peer of the old policy; then what only the new one
        knows."""
        known: list[_Known] = []
        for replay in self._replays:
            with deep_recursion():
                all = Guards(replay.policy.tree).all()
                known.append({of.key: (of, guard) for of, guard in all})
        for key in dict.fromkeys((*known[0], *known[1])):
            with deep_recursion():
                yield from self._change([each.get(key) for each in known])

    def _change(self, sides: Sequence[tuple[Interaction, Guard] | None]) -> list[Change]:
        interaction = next(side[0] for side in sides if side)
        guards = [side[1] if side else Guard() for side in sides]
        found = self._compare(interaction, guards[0], guards[1], sides)
        if found.equal:
            return []
        old, new = (
            self._said(number, side[1]) if side else None for number, side in enumerate(sides)
        )
        tries = {way: _lines(interaction, found.candidates[way]) for way in WAYS}
        shown = self._histories.find(tries, guards, [side is not None for side in sides])
        return [
            Change(interaction, old, new, way, line, history)
            for way, (line, history) in shown.items()
        ] or [Change(interaction, old, new, why=_unknown(found, tries, self._histories.states))]

    def _compare(
        self,
        interaction: Interaction,
        old: Guard,
        new: Guard,
        sides: Sequence[tuple[Interaction, Guard] | None],
    ) -> Comparison:
        """Peers that neither policy tells apart are compared once."""
        key = (id(old), id(new), interaction.src is interaction.dst)
        if key not in self._compared:
            pair = []
            for replay, side, guard in zip(self._replays, sides, (old, new), strict=True):
                message = side[0].operation.message if side else None
                pair.append(Side(guard, replay.policy.tree.objects, message))
            budget = BUDGET if self._left > 0 else FEW_STEPS
            found = compare(interaction, pair[0], pair[1], budget)
            self._left -= found.steps
            self._compared[key] = old, new, found
        return self._compared[key][2]

    def _said(self, number: int, guard: Guard) -> Said:
        objects = self._replays[number].policy.tree.objects
        return Said(verdict(guard, objects), self._describers[number].conditions(guard))


def _lines(interaction: Interaction, boxes: Sequence[Any]) -> list[Line]:
    """Distinct examples out of boxes."""
    found: list[Line] = []
    for box in boxes:
        line = example(interaction, box)
        if line is not None and line not in found:
            found.append(line)
    return found[:_MOST_TRIED]


def _unknown(found: Comparison, tries: Tries, states: int) -> str:
    """Why it is not known whether the verdicts ever differ."""
    count = sum(map(len, tries.values()))
    if count:
        events = f"{count} event{'s'[: count != 1]} tried in {states} state{'s'[: states != 1]}"
        return f"they may differ in some state of the policy's objects, but not for {events}"
    if any(found.candidates.values()):
        return "they may differ, but for no event that could be made up to show it"
    if found.given_up:
        return f"given up after {found.steps:,} steps: there are too many cases to tell apart"
    return "it hangs on values whose cases cannot be listed"


# ---- as text and as JSON ---------------------------------------------------------


def to_document(changes: Sequence[Change]) -> dict[str, Any]:
    return {"changed": [_change_json(change) for change in changes]}


def _change_json(change: Change) -> dict[str, Any]:
    names = {key: name for key, name in change.interaction.json().items() if name is not None}
    old, new = _verdicts(change)
    return {
        "event": {"event": names.pop("kind"), **names},
        "old": old,
        "new": new,
        "why": change.why or None,
        "example": change.example,
        "history": list(change.history),
        "policies": {"old": _said_json(change.old), "new": _said_json(change.new)},
    }


def _said_json(said: Said | None) -> dict[str, Any] | None:
    if said is None:
        return None
    return {
        "verdict": said.verdict.value,
        "condition": sentence(said.conditions) or None,
        "conditions": to_json(said.conditions),
    }


def _verdicts(change: Change) -> tuple[str, str]:
    if change.verdicts is None:
        return "unknown", "unknown"
    old, new = ("granted" if granted else "denied" for granted in change.verdicts)
    return old, new
