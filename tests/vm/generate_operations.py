"""Random policies in which each method of a server is a rule or a few on objects with state, with
arguments from the message: most events change something."""

from __future__ import annotations

from random import Random

from kss import layout
from kss.events import Kind
from kss.layout import Endpoint, MessageType, WireType
from kss.tree import Apply, Constant, Expression, Item, PolicyTree, Sid
from kss.types import BOOLEAN, SID, TEXT, IntegerType

from tests.vm import build
from tests.vm.generate_expressions import Expressions
from tests.vm.generate_models import NAMES, Objects
from tests.vm.generate_patterns import pattern

PARAMETERS: list[tuple[str, WireType]] = [
    ("s", build.U32),
    ("h", build.HANDLE),
    ("text", layout.String(12)),
    ("data", layout.Bytes(6)),
    *((f"u{bits}", layout.Integer(bits, False)) for bits in (8, 16, 64)),
    *((f"s{bits}", layout.Integer(bits, True)) for bits in (8, 16, 32, 64)),
]


class Arguments(Expressions):
    """Expressions that seldom fail."""

    def sid(self) -> Expression:
        if self.rng.random() < 0.2 and (place := self.place((layout.Integer,), SID)):
            return place
        return Sid(self.rng.choice(("src", "src", "dst")), SID)

    def integer(self, kind: IntegerType, depth: int) -> Expression:
        if self.rng.random() < 0.7 and (place := self.place((layout.Integer,), kind)):
            return place
        if depth and self.rng.random() < 0.2:
            return super().integer(kind, 1)
        return self.small(kind)

    def boolean(self, depth: int) -> Expression:
        kind = self.kind()
        return Apply("pred.eq", (self.integer(kind, 0), self.small(kind)), BOOLEAN)

    def text(self) -> Expression:
        place = self.place((layout.String,)) if self.rng.random() < 0.5 else None
        return place or Constant(self.rng.choice(NAMES), TEXT)


class Operations:
    """A policy whose classes are a client and the server of such methods."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        count = rng.randint(6, 14)
        methods = [build.method(f"M{i}", i, PARAMETERS) for i in range(count)]
        served = Endpoint("e", 0, build.interface("t.Operations", *methods), None)
        self.builder = build.Builder(build.classes(("t.C", [], []), ("t.S", [served], [])))
        self.objects = Objects(rng, self.builder, rng.randint(1, 3))
        for thing in self.objects.all:
            self.builder.bind(Kind.EXECUTE, self.objects.start(thing), dst=rng.randint(0, 1))
        for method in methods:
            items = self._items(method.request)
            self.builder.bind(Kind.REQUEST, *items, dst=1, endpoint="e", method=method.name)

    def tree(self) -> PolicyTree:
        return self.builder.tree()

    def _items(self, message: MessageType) -> list[Item]:
        rng, objects = self.rng, self.objects
        make = Arguments(rng, message, self.builder, [], objects)
        items: list[Item] = [objects.rule(make) for _ in range(rng.choice([1, 1, 1, 1, 2, 4]))]
        if objects.mics and rng.random() < 0.2:
            thing = rng.choice(objects.mics)
            labels = rng.sample(objects.labels(thing), 2)
            branches: dict[int | bool | str, list[Item]] = {
                label: [self.builder.grant()] for label in labels
            }
            items.append(self.builder.choice(objects.query_level(thing, make), branches, items[:1]))
        if objects.maps and rng.random() < 0.4:
            items.append(self.builder.rule("assert", self._comparison(make)))
        if objects.sets and rng.random() < 0.3:
            items.append(self.builder.rule("assert", objects.contains(make)))
        if rng.random() < 0.2:
            return [self._selected(make, items)]
        return items

    def _comparison(self, make: Arguments) -> Expression:
        """Of a value of a map."""
        kind = self.builder.objects[self.rng.choice(self.objects.maps)].types["Value"]
        assert isinstance(kind, IntegerType)
        operation = "pred." + self.rng.choice(["eq", "ne", "lt", "le"])
        others = [make.number(kind), make.integer(kind, 0), self.objects.get(kind, make)]
        pair = (self.objects.get(kind, make), self.rng.choice(others))
        return Apply(operation, pair, BOOLEAN)

    def _selected(self, make: Arguments, items: list[Item]) -> Item:
        """Rules for texts that match a pattern."""
        rng, builder = self.rng, self.builder
        other = builder.rule("assert", make.matches(2))
        first, second = rng.sample(["a|b|red", ".*a.*", "!(a.*)", pattern(rng, 3)], 2)
        branches: dict[int | bool | str, list[Item]] = {first: items, second: [other]}
        return builder.choice(builder.select(make.text()), branches, [builder.grant()])
