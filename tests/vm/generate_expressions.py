"""Random expressions. Numbers are small or near the bounds of their types, so that comparisons are
interesting, overflows and bad indices frequent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from kss import layout
from kss.layout import (
    MessageType,
    WireType,
)
from kss.models.flow import FlowConfig
from kss.tree import (
    Apply,
    Constant,
    ElementStep,
    Expression,
    FieldStep,
    HandleStep,
    ListValue,
    Logical,
    MemberStep,
    Place,
    Query,
    Sid,
    Step,
)
from kss.types import (
    BOOLEAN,
    SID,
    TEXT,
    UINT8,
    UINT32,
    UNIT,
    IntegerType,
    ListType,
    Type,
    of_wire,
)

from tests.vm import build
from tests.vm.generate_models import Objects
from tests.vm.generate_patterns import pattern

INTEGERS = [IntegerType(bits, signed) for bits in (8, 16, 32, 64) for signed in (False, True)]
TEXTS = ["", "a", "ab", "red", "é"]


@dataclass(frozen=True)
class Spot:
    """A way into a message, its index expressions still to be chosen."""

    steps: tuple[Step, ...]
    wire: WireType


def spots(message: MessageType) -> list[Spot]:
    found: list[Spot] = []
    for field in message.fields:
        step = FieldStep(field.name, field.offset, field.type)
        found += _spots_in((step,), field.type)
    return found


def _spots_in(steps: tuple[Step, ...], wire: WireType) -> Iterator[Spot]:
    yield Spot(steps, wire)
    zero = build.unsigned(0)
    match wire:
        case layout.Handle():
            for name, offset in (("handle", 0), ("rights", 4)):
                step = HandleStep(name, offset, layout.Integer(32, False))  # type: ignore[arg-type]
                yield Spot((*steps, step), step.wire)
        case layout.Struct(_, fields):
            for field in fields:
                below: Step = FieldStep(field.name, field.offset, field.type)
                yield from _spots_in((*steps, below), field.type)
        case layout.Union(_, members):
            for tag, member in enumerate(members):
                below = MemberStep(member.name, tag, member.offset, member.type)
                yield from _spots_in((*steps, below), member.type)
        case layout.Array(element, count):
            yield from _spots_in((*steps, ElementStep(zero, count, element)), element)
        case layout.Sequence(element, _):
            yield from _spots_in((*steps, ElementStep(zero, None, element)), element)
        case layout.Bytes():
            byte = layout.Integer(8, False)
            yield Spot((*steps, ElementStep(zero, None, byte)), byte)


class Expressions:
    """Random expressions over a message (or none), SIDs and objects."""

    def __init__(
        self,
        rng: Random,
        message: MessageType | None,
        builder: build.Builder,
        flows: list[int],
        objects: Objects,
    ) -> None:
        self.builder = builder
        self.rng = rng
        self.message = message
        self.spots = spots(message) if message else []
        self.flows = flows
        self.objects = objects

    def place(self, wires: tuple[type, ...], of: Type | None = None) -> Place | None:
        """A place of one of the wire types, and of the PSL type if that is given."""
        fitting = [
            spot
            for spot in self.spots
            if isinstance(spot.wire, wires) and (of is None or of_wire(spot.wire) == of)
        ]
        if not fitting:
            return None
        return self._place(self.rng.choice(fitting))

    def _place(self, spot: Spot) -> Place:
        assert self.message is not None
        steps = tuple(self._indexed(step) for step in spot.steps)
        return Place(self.message, steps, spot.wire, of_wire(spot.wire))

    def _indexed(self, step: Step) -> Step:
        if not isinstance(step, ElementStep):
            return step
        kind = self.rng.choice(INTEGERS)
        index = self.small(kind) if self.rng.random() < 0.6 else self.integer(kind, 1)
        return ElementStep(index, step.count, step.wire)

    def small(self, kind: IntegerType) -> Constant:
        return Constant(self.rng.choice([0, 0, 0, 1, 1, 2, 3 if not kind.signed else -1]), kind)

    def number(self, kind: IntegerType) -> Constant:
        near = [0, 1, 2, 3, 5, kind.high, kind.high - 1, kind.low, kind.low + 1, kind.high // 2]
        return Constant(self.rng.choice(near), kind)

    def integer(self, kind: IntegerType, depth: int) -> Expression:
        rng = self.rng
        if rng.random() < 0.5 and (place := self.place((layout.Integer,), kind)):
            return place
        if depth == 0 or rng.random() < 0.25:
            if kind == UINT32 and rng.random() < 0.3:
                return Sid(rng.choice(("src", "dst")), SID)
            return self.small(kind) if rng.random() < 0.5 else self.number(kind)
        names = [
            "add",
            "sub",
            "mul",
            "and",
            "or",
            "not",
            "cond",
            "widen",
            "fold",
            "fold",
            "fold",
            "fold",
            "element",
        ]
        names += ["neg", "abs"] if kind.signed else []
        names += ["size"] * 2 if kind == UINT32 else []
        names += ["get"] * 2 if self.objects.getters(kind) else []
        names += ["byte"] if kind == UINT8 else []
        return self._integer(rng.choice(names), kind, depth - 1)

    def _integer(self, name: str, kind: IntegerType, depth: int) -> Expression:
        match name:
            case "add" | "sub" | "mul" | "and" | "or":
                pair = (self.integer(kind, depth), self.integer(kind, depth))
                return Apply(f"math.{name}", pair, kind)
            case "not" | "neg" | "abs":
                return Apply(f"math.{name}", (self.integer(kind, depth),), kind)
            case "cond":
                parts = (self.boolean(depth), *(self.integer(kind, depth) for _ in range(2)))
                return Apply("bool.cond", parts, kind)
            case "widen":
                narrow = self.rng.choice(
                    [i for i in INTEGERS if kind.holds(i.low) and kind.holds(i.high)]
                )
                return Apply("math.widen", (self.integer(narrow, depth),), kind)
            case "size":
                return Apply("struct.size", (self.countable(depth),), kind)
            case "fold":
                name = self.rng.choice(("math.sum", "math.product"))
                lists = [self.numbers(kind, depth) for _ in range(self.rng.choice([1, 1, 2]))]
                return Apply(name, (self.one_of(lists, depth),), kind)
            case "get":
                return self.objects.get(kind, self)
            case "byte":
                lists = [self.bytes_or_list(depth) for _ in range(self.rng.randint(1, 3))]
                index = self.small(self.rng.choice(INTEGERS))
                return Apply("struct.element", (self.one_of(lists, depth), index), kind)
            case _:
                items = self.list(
                    [self.integer(kind, depth) for _ in range(self.rng.randint(1, 3))]
                )
                index = self.rng.choice([self.small(kind), self.integer(kind, depth)])
                return Apply("struct.element", (items, index), kind)

    def one_of(self, values: list[Expression], depth: int) -> Expression:
        """An element of a list of values of any one type, or the only value."""
        if len(values) == 1:
            return values[0]
        kind = self.rng.choice(INTEGERS)
        index = self.small(kind) if self.rng.random() < 0.7 else self.integer(kind, depth)
        values = [value for value in values if value.type == values[0].type]
        return Apply("struct.element", (self.list(values), index), values[0].type)

    def bytes_or_list(self, depth: int) -> Expression:
        if self.rng.random() < 0.6 and (place := self.place((layout.Bytes,))):
            return place
        return self.list([self.integer(UINT8, depth) for _ in range(self.rng.randint(1, 3))])

    def text(self) -> Expression:
        place = self.place((layout.String,)) if self.rng.random() < 0.7 else None
        return place or Constant(self.rng.choice(TEXTS), TEXT)

    def list(self, items: list[Expression]) -> Expression:
        kind = ListType(items[0].type if items else UINT8)
        if all(isinstance(item, Constant) for item in items):
            return Constant(tuple(i.value for i in items if isinstance(i, Constant)), kind)
        return ListValue(tuple(items), kind)

    def numbers(self, kind: IntegerType, depth: int) -> Expression:
        wires = (layout.Array, layout.Sequence, layout.Bytes)
        for spot in self.rng.sample(self.spots, len(self.spots)):
            element = getattr(spot.wire, "element", layout.Integer(8, False))
            if isinstance(spot.wire, wires) and of_wire(element) == kind:
                return self._place(spot)
        return self.list([self.integer(kind, depth) for _ in range(self.rng.randint(0, 4))])

    def countable(self, depth: int) -> Expression:
        wires = (layout.String, layout.Bytes, layout.Sequence, layout.Array)
        if self.rng.random() < 0.7 and (place := self.place(wires)):
            return place
        if self.rng.random() < 0.4:
            return self.one_of([self.text() for _ in range(self.rng.randint(1, 3))], depth)
        return self.list([self.integer(UINT8, depth) for _ in range(self.rng.randint(0, 3))])

    def matches(self, depth: int) -> Expression:
        text = self.one_of([self.text() for _ in range(self.rng.choice([1, 1, 1, 2]))], depth)
        return self.builder.matches(text, pattern(self.rng, self.rng.randint(1, 3)))

    def kind(self) -> IntegerType:
        """A type of integers, more often one of which the message has some."""
        kinds = [of_wire(spot.wire) for spot in self.spots]
        kinds += [of_wire(e) for s in self.spots if (e := getattr(s.wire, "element", None))]
        found = [kind for kind in kinds if isinstance(kind, IntegerType)]
        return self.rng.choice(found if found and self.rng.random() < 0.7 else INTEGERS)

    def boolean(self, depth: int) -> Expression:
        rng = self.rng
        if depth == 0 or rng.random() < 0.1:
            return Constant(rng.random() < 0.6, BOOLEAN)
        name = rng.choice(
            ["compare"] * 6
            + ["size"]
            + ["logical"] * 3
            + ["not", "fold", "cond", "empty", "same", "unit"]
            + (["contains"] * 4 if self.objects.sets else [])
            + ["match"] * 2
        )
        return self._boolean(name, depth - 1)

    def _boolean(self, name: str, depth: int) -> Expression:
        rng = self.rng
        match name:
            case "compare":
                kind = self.kind()
                operation = "pred." + rng.choice(["eq", "ne", "lt", "le", "gt", "ge"])
                pair = (self.integer(kind, depth), self.integer(kind, depth))
                return Apply(operation, pair, BOOLEAN)
            case "size":
                size = Apply("struct.size", (self.countable(depth),), UINT32)
                return Apply("pred.eq", (size, self.small(UINT32)), BOOLEAN)
            case "logical":
                operator = rng.choice(("and", "or", "implies"))
                return Logical(operator, self.boolean(depth), self.boolean(depth), BOOLEAN)
            case "contains":
                return self.objects.contains(self)
            case "match":
                return self.matches(depth)
            case "not":
                return Apply("bool.not", (self.boolean(depth),), BOOLEAN)
            case "fold":
                items = self.list([self.boolean(depth) for _ in range(rng.randint(0, 3))])
                return Apply(rng.choice(("bool.all", "bool.any")), (items,), BOOLEAN)
            case "cond":
                return Apply("bool.cond", tuple(self.boolean(depth) for _ in range(3)), BOOLEAN)
            case "empty":
                return Apply("pred.empty", (self.countable(depth),), BOOLEAN)
            case "same":
                pair = (self.boolean(depth), self.boolean(depth))
                return Apply(rng.choice(("pred.eq", "pred.ne")), pair, BOOLEAN)
            case _:
                unit = Constant(None, UNIT)
                other = Apply("bool.cond", (self.boolean(depth), unit, unit), UNIT)
                return Apply(rng.choice(("pred.eq", "pred.ne")), (other, unit), BOOLEAN)

    def sid(self) -> Expression:
        rng = self.rng
        if rng.random() < 0.3 and (place := self.place((layout.Integer,), UINT32)):
            return place
        if rng.random() < 0.2:
            return Constant(rng.randint(0, 4), SID)
        return Sid(rng.choice(("src", "dst")), SID)

    def query(self) -> Query:
        return self.builder.query(self.rng.choice(self.flows), self.sid())

    def state(self, thing: int) -> Expression:
        """A state of the object's type, written or that of an object of equal type."""
        kind = self.builder.objects[thing].types["State"]
        alike = [i for i in self.flows if self.builder.objects[i].types["State"] == kind]
        values: list[Expression] = []
        for _ in range(self.rng.choice([1, 1, 2])):
            if self.rng.random() < 0.7:
                values.append(self.builder.query(self.rng.choice(alike), self.sid()))
            else:
                config = self.builder.objects[thing].config
                assert isinstance(config, FlowConfig)
                values.append(Constant(self.rng.choice(config.states), kind))
        return self.one_of(values, 1)
