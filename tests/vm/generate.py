"""Random policies over random schemas, from one seeded generator.

Small on purpose: few classes, short strings and sequences, so that matches and collisions are
frequent.
"""

from __future__ import annotations

from random import Random

from kss import layout
from kss.events import Kind, Result
from kss.layout import (
    MessageType,
)
from kss.tree import (
    Choice,
    Expression,
    Item,
    PolicyTree,
    Rule,
    Watch,
)
from kss.types import (
    UINT8,
)

from tests.vm import build
from tests.vm.generate_expressions import INTEGERS, TEXTS, Expressions
from tests.vm.generate_models import Objects
from tests.vm.generate_operations import Operations
from tests.vm.generate_patterns import pattern
from tests.vm.generate_records import Records
from tests.vm.generate_schema import Schema


class Policy:
    """A random policy over random classes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.builder = build.Builder(Schema(rng).classes())
        self.states: dict[int, list[str]] = {}
        self.builder.audit_level = rng.choice([0, 0, 2])
        for number in range(rng.randint(0, 3)):
            self._flow(number)
        if rng.random() < 0.7:
            self.builder.watch = self._watches
        for thing in self.states:
            if rng.random() < 0.8:
                self.builder.bind(Kind.EXECUTE, self.builder.flow_rule(thing, "init", build.DST))
        self.objects = Objects(rng, self.builder, rng.choice([0, 0, 1, 1, 2]))
        for thing in self.objects.all:
            if rng.random() < 0.8:
                self.builder.bind(Kind.EXECUTE, self.objects.start(thing))
        for _ in range(rng.randint(4, 14)):
            self._binding()

    def tree(self) -> PolicyTree:
        return self.builder.tree()

    def _flow(self, number: int) -> None:
        rng = self.rng
        states = [f"s{i}" for i in range(rng.choice([1, 2, 2, 3, 3, 3, 4, 40]))]
        rng.shuffle(states)
        edges = {
            state: rng.sample(states, rng.randint(0, min(3, len(states))))
            for state in states
            if rng.random() < 0.8
        }
        index = self.builder.flow(f"flow{number}", states, rng.choice(states), **edges)
        self.states[index] = states

    def _watches(self, name: str, expression: bool) -> tuple[Watch, ...]:
        """Anything that audit profiles could have recorded of a site, at some levels."""
        rng, found, things = self.rng, [], self.builder.objects
        states = next((s for i, s in self.states.items() if things[i].name == name), [])
        for level in [0, 1, 2, 255] if rng.random() < 0.7 else []:
            results = frozenset(rng.sample(list(Result), rng.randint(1, 3)))
            omit = tuple(rng.sample(states, rng.randint(0, len(states) // 2)))
            if expression and rng.random() < 0.8:
                found.append(Watch(level, values=True, omit=omit))
            elif not expression and rng.random() < 0.8:
                found.append(Watch(level, results, omit=omit))
        return tuple(found)

    def _binding(self) -> None:
        rng, builder = self.rng, self.builder
        kind = rng.choice([Kind.EXECUTE, Kind.REQUEST, Kind.REQUEST, *Kind])
        condition: dict[str, int | str] = {}
        message: MessageType | None = None
        if rng.random() < 0.75 and (pinned := self._operation(kind)):
            condition, message = pinned
        elif rng.random() < 0.5:
            condition["src" if kind.server_is_source else "dst"] = self._class()
        if kind is Kind.SECURITY:
            condition.pop("dst", None)
        elif rng.random() < 0.4:
            condition["dst" if kind.server_is_source else "src"] = self._class()
        items = self._items(kind, message, 2)
        if items:
            builder.bind(kind, *items, **condition)

    def _class(self) -> int:
        return self.rng.randrange(len(self.builder.entities))

    def _operation(self, kind: Kind) -> tuple[dict[str, int | str], MessageType] | None:
        """Selectors that pin down one operation, and its message."""
        rng = self.rng
        entity = rng.choice(self.builder.entities)
        side = "src" if kind.server_is_source else "dst"
        offered = entity.security if kind is Kind.SECURITY else entity.endpoints
        if kind is Kind.EXECUTE or not offered:
            return None
        endpoint = rng.choice(offered)
        method = rng.choice(endpoint.interface.methods)
        direction = kind.direction
        assert direction is not None
        message = method.message(direction)
        if kind is Kind.SECURITY:
            name = f"{endpoint.name}.{method.name}" if endpoint.name else method.name
            return {
                "src": entity.index,
                "interface": endpoint.interface.name,
                "method": name,
            }, message
        if rng.random() < 0.3:
            return {"interface": endpoint.interface.name, "method": method.name}, message
        return {side: entity.index, "endpoint": endpoint.name, "method": method.name}, message

    def _items(self, kind: Kind, message: MessageType | None, depth: int) -> list[Item]:
        counts = [0, 1, 1, 2, 3] if depth < 2 else [1, 1, 2, 3]
        return [self._item(kind, message, depth) for _ in range(self.rng.choice(counts))]

    def _item(self, kind: Kind, message: MessageType | None, depth: int) -> Item:
        rng = self.rng
        name = rng.choice(
            ["rule"] * 8 + ["evaluate"] + (["match", "choice", "choice"] if depth else [])
        )
        if name == "evaluate":
            return self.builder.evaluate(self._expressions(message).boolean(3))
        if name == "choice":
            return self._choice(kind, message, depth - 1)
        if name == "match":
            condition: dict[str, int | str] = {}
            if kind is not Kind.SECURITY:
                condition[rng.choice(("src", "dst"))] = self._class()
            return self.builder.match(*self._items(kind, message, depth - 1), **condition)
        return self._rule(message)

    def _expressions(self, message: MessageType | None) -> Expressions:
        return Expressions(self.rng, message, self.builder, list(self.states), self.objects)

    def _rule(self, message: MessageType | None) -> Rule:
        rng, builder, make = self.rng, self.builder, self._expressions(message)
        if self.states and rng.random() < 0.45:
            thing = rng.choice(list(self.states))
            name = rng.choice(["init", "init", "fini", "enter", "enter", "allow"])
            states = self.states[thing]
            some: list[str | Expression] = list(
                rng.sample(states, rng.randint(1, min(3, len(states))))
            )
            if rng.random() < 0.3:
                some[0] = make.state(thing)
            return builder.flow_rule(thing, name, make.sid(), *some)
        if self.objects.all and rng.random() < 0.3:
            return self.objects.rule(make)
        if rng.random() < 0.15 and make.place((layout.String,)):
            return builder.rule(rng.choice(("assert", "deny")), make.matches(1))
        name = rng.choice(
            ["grant", "grant", "assert", "assert", "deny", "deny ()", "bool", "level"]
        )
        if name == "bool":
            return builder.bool_assert(make.boolean(4))
        if name == "level":
            return builder.rule("set_level", make.integer(UINT8, 2))
        if name == "deny ()":
            return builder.rule("deny") if rng.random() < 0.3 else builder.grant()
        return builder.rule(name, None if name == "grant" else make.boolean(4))

    def _choice(self, kind: Kind, message: MessageType | None, depth: int) -> Choice:
        rng, builder, make = self.rng, self.builder, self._expressions(message)
        text = make.one_of([make.text() for _ in range(rng.choice([1, 1, 2]))], 1)
        scrutinee: Expression
        labels: list[int | bool | str]
        if self.states and rng.random() < 0.6:
            thing = rng.choice(list(self.states))
            scrutinee, labels = make.state(thing), list(self.states[thing][:4])
        elif self.objects.mics and rng.random() < 0.5:
            thing = rng.choice(self.objects.mics)
            scrutinee = self.objects.query_level(thing, make)
            labels = list(self.objects.labels(thing))
        elif rng.random() < 0.4:
            patterns = {pattern(rng, rng.randint(0, 3)) for _ in range(rng.randint(1, 4))}
            scrutinee, labels = builder.select(text), sorted(patterns)
        elif rng.random() < 0.5:
            scrutinee, labels = text, list(TEXTS)
        elif rng.random() < 0.5:
            scrutinee, labels = make.boolean(2), [True, False]
        else:
            integer = rng.choice(INTEGERS)
            scrutinee = make.integer(integer, 2)
            labels = sorted({0, 1, 2, integer.low, integer.high})
        chosen = rng.sample(labels, rng.randint(1, len(labels)))
        branches = {label: self._items(kind, message, depth) for label in chosen}
        default = self._items(kind, message, depth) if rng.random() < 0.5 else None
        return self.builder.choice(scrutinee, branches, default)


def policy(rng: Random) -> PolicyTree:
    """A policy of any kind."""
    kind = rng.random()
    if kind > 0.85:
        return Records(rng).tree()
    return Operations(rng).tree() if kind < 0.4 else Policy(rng).tree()
