"""Two guards of one interaction: equal, or which messages and states may tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from kss import layout
from kss.analysis.abstract import Box, Policy
from kss.analysis.guard import Guard, expressions
from kss.analysis.interactions import Interaction
from kss.analysis.keys import Keys, parts
from kss.analysis.observed import Observed
from kss.analysis.outcome import guard_key
from kss.analysis.search import Search
from kss.analysis.values import Numbers
from kss.events import Kind
from kss.layout import MessageType, WireType
from kss.tree import Expression, FieldStep, Place, PolicyObject, Query, Sid

BUDGET = 6000  # steps (boxes, as a rule) that a comparison is worth
MORE = 1000  # after one with a difference
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
    with all that they ask of policy objects; those that ask least come first. `steps` is how long
    it was looked, which was `given_up` if that did not suffice."""

    equal: bool = False
    steps: int = 0
    given_up: bool = False
    candidates: dict[Verdicts, list[Box]] = field(default_factory=lambda: {way: [] for way in WAYS})


def compare(interaction: Interaction, old: Side, new: Side, budget: int = BUDGET) -> Comparison:
    """Looks with the SIDs first that processes have where nothing else was started; then, if SIDs
    matter, with any, for as many steps again."""
    if _alike(old, new, _type) and _key(old) == _key(new):
        return Comparison(equal=True)
    found = Comparison()
    search = _search(old, new, budget)
    complete = _explore(search(), _sids(interaction), found)
    if any(_compares_sids(side.guard) for side in (old, new)):
        complete = _explore(search(), {}, found)
    for boxes in found.candidates.values():
        boxes.sort(key=_asked)
    differs = any(found.candidates.values()) or not _alike(old, new, _kind)
    found.equal = complete and not differs
    return found


def _key(side: Side) -> Hashable:
    return guard_key(side.guard, Keys(side.objects))


def _search(old: Side, new: Side, budget: int) -> Callable[[], Search]:
    """Makes searches that look first at what only one of the guards tells apart."""
    one, other = Observed(), Observed()
    for seen, side in ((one, old), (other, new)):
        seen.add(side.guard, side.objects)
    labels = (*one.labels, *other.labels)
    texts = one.texts(other)
    effects: dict[Hashable, int] = {}
    guards = [(Policy(side.objects, texts, labels, effects), side.guard) for side in (old, new)]
    numbers = one.numbers | other.numbers
    return lambda: Search(guards, numbers, budget, one.numbers ^ other.numbers)


def _explore(search: Search, start: Box, found: Comparison) -> bool:
    """Whether everything within the start has been covered."""
    for box, (old, new) in search.leaves(start):
        if old != new:
            search.budget = min(search.budget, MORE)
            boxes = found.candidates[old, new]
            if len(boxes) < MOST_CANDIDATES:
                boxes.append(box)
    found.steps += search.steps
    found.given_up = search.budget <= 0
    return search.complete


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


def _alike(old: Side, new: Side, of: Callable[[WireType], Hashable]) -> bool:
    """Whether what the guards look at of the message has the same types on both sides."""
    names = {name for side in (old, new) for name in _fields(side.guard)}
    return all(_shape(old.message, name, of) == _shape(new.message, name, of) for name in names)


def _fields(guard: Guard) -> Iterator[str]:
    """The parameters that a guard looks at."""
    waiting: list[Expression] = list(expressions(guard))
    for expression in waiting:  # grows on the way
        if isinstance(expression, Place):
            first = expression.steps[0]
            assert isinstance(first, FieldStep)
            yield first.name
        waiting += parts(expression)


def _shape(message: MessageType | None, name: str, of: Callable[[WireType], Hashable]) -> Hashable:
    """The type of a parameter, wherever it lies; None if there is none."""
    fields = message.fields if message else ()
    return next((of(field.type) for field in fields if field.name == name), None)


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


def _kind(wire: WireType) -> Hashable:
    """The type but for widths and bounds: messages of both interfaces are what both types hold. A
    union's members have numbers."""
    match wire:
        case layout.Struct(_, fields):
            return ("struct", frozenset((field.name, _kind(field.type)) for field in fields))
        case layout.Union(_, members):
            return ("union", tuple((member.name, _kind(member.type)) for member in members))
        case layout.Array(element) | layout.Sequence(element):
            return ("list", _kind(element))
    return type(wire).__name__
