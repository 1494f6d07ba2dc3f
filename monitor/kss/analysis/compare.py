"""Two guards of one interaction: equal, or which messages and states may tell them apart."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from kss import layout
from kss.analysis.abstract import Box, Policy
from kss.analysis.guard import Guard, expressions
from kss.analysis.interactions import Interaction
from kss.analysis.keys import Keys, parts
from kss.analysis.observed import Observed
from kss.analysis.outcome import Outcome, guard_key
from kss.analysis.search import Open, Pick, Search
from kss.analysis.values import Numbers
from kss.events import Kind
from kss.layout import MessageType, WireType
from kss.tree import Expression, FieldStep, Place, PolicyObject, Query, Sid

BUDGET = 1500  # boxes that a comparison is worth
MOST_CANDIDATES = 8  # of each way

Verdicts: TypeAlias = tuple[bool, bool]  # granted by the old policy, by the new one
WAYS: tuple[Verdicts, Verdicts] = ((False, True), (True, False))


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the policies says of an interaction."""

    guard: Guard
    objects: tuple[PolicyObject, ...]
    message: MessageType | None


@dataclass(slots=True)
class Comparison:
    """`equal` is certain. `candidates` are boxes in which the verdicts differ, if there is a state
    with all that they ask of policy objects; those that ask least come first."""

    equal: bool = False
    candidates: dict[Verdicts, list[Box]] = field(default_factory=lambda: {way: [] for way in WAYS})


def compare(interaction: Interaction, old: Side, new: Side) -> Comparison:
    """Looks with the SIDs first that processes have where nothing else was started."""
    alike = _alike(old, new)
    if alike and _key(old) == _key(new):
        return Comparison(equal=True)
    search = _Search(old, new)
    complete = search.explore(_sids(interaction))
    if any(_compares_sids(side.guard) for side in (old, new)):
        complete = search.explore({})
    for boxes in search.found.candidates.values():
        boxes.sort(key=_asked)
    search.found.equal = alike and complete and not any(search.found.candidates.values())
    return search.found


def _key(side: Side) -> Hashable:
    return guard_key(side.guard, Keys(side.objects))


class _Search:
    def __init__(self, old: Side, new: Side) -> None:
        seen = Observed()
        for side in (old, new):
            seen.add(side.guard, side.objects)
        self._numbers = seen.numbers
        texts = seen.texts()
        self._sides = [(Policy(s.objects, texts, seen.labels), s.guard) for s in (old, new)]
        self.found = Comparison()

    def explore(self, start: Box) -> bool:
        """Whether everything within the start has been covered."""
        search = Search(self._ask, self._numbers, BUDGET)
        for box, verdicts in search.leaves(start):
            if verdicts in self.found.candidates:
                boxes = self.found.candidates[verdicts]
                if len(boxes) < MOST_CANDIDATES:
                    boxes.append(box)
                elif all(len(each) == MOST_CANDIDATES for each in self.found.candidates.values()):
                    return False
        return search.complete

    def _ask(self, box: Box, pick: Pick | None) -> tuple[Verdicts | None, Open, Box]:
        answers: list[bool | None] = []
        open: Open = []
        picked: Box = {}
        for policy, guard in self._sides:
            outcome = Outcome(policy, {**box, **picked}, pick)
            answers.append(outcome.granted(guard))
            open += outcome.open
            picked = {**picked, **outcome.picked}
        old, new = answers
        return (None if old is None or new is None else (old, new)), open, picked


def _asked(box: Box) -> tuple[int, int]:
    """How much a box asks of policy objects, and of the message."""
    return sum(not isinstance(key, str) for key in box), len(box)


def _sids(interaction: Interaction) -> Box:
    """`kss eval` numbers processes as they are named."""
    src, dst = interaction.src, interaction.dst
    last = 0 if dst is None else 1 if dst.name == src.name else 2
    if interaction.kind is Kind.EXECUTE:
        last = 2
    return {"src_sid": Numbers(1, 1), "dst_sid": Numbers(last, last)}


def _compares_sids(guard: Guard) -> bool:
    """Whether a condition is about SIDs themselves, not only about what objects know of them."""
    waiting: list[Expression] = list(expressions(guard))
    for expression in waiting:  # grows on the way
        if isinstance(expression, Sid):
            return True
        if not isinstance(expression, Query):
            waiting += parts(expression)
    return False


# ---- messages ------------------------------------------------------------------


def _alike(old: Side, new: Side) -> bool:
    """Whether what the guards look at of the message has the same types on both sides."""
    names = {name for side in (old, new) for name in _fields(side.guard)}
    return all(_shape(old.message, name) == _shape(new.message, name) for name in names)


def _fields(guard: Guard) -> Iterator[str]:
    """The parameters that a guard looks at."""
    waiting: list[Expression] = list(expressions(guard))
    for expression in waiting:  # grows on the way
        if isinstance(expression, Place):
            first = expression.steps[0]
            assert isinstance(first, FieldStep)
            yield first.name
        waiting += parts(expression)


def _shape(message: MessageType | None, name: str) -> Hashable:
    """The type of a parameter, wherever it lies; None if there is none."""
    fields = message.fields if message else ()
    return next((_type(field.type) for field in fields if field.name == name), None)


def _type(wire: WireType) -> Hashable:
    match wire:
        case layout.Struct(_, fields):
            return ("struct", tuple((field.name, _type(field.type)) for field in fields))
        case layout.Union(_, members):
            return ("union", tuple((member.name, _type(member.type)) for member in members))
        case layout.Array(element, count):
            return ("array", _type(element), count)
        case layout.Sequence(element, limit):
            return ("sequence", _type(element), limit)
    return str(wire)
