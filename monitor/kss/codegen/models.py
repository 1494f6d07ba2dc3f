"""What the methods of each model become.

A model without state compiles to plain instructions; one with state to `CALL`s of an object that
vm/model_*.c knows. A new model is a class here, with an entry in `_STATEFUL`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from kss.binary import CLAIM_WRITES, DROP_WRITES, Image, Model, ObjectRecord, Op
from kss.codegen.expressions import items_of
from kss.models.flow import FlowConfig
from kss.tree import Constant, Expression, PolicyObject, PolicyTree, Query, Rule

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

Arguments = tuple[tuple[str, Expression], ...]


class Words:
    """The image's pool of constant words; equal runs are stored once."""

    def __init__(self) -> None:
        self.words = array("I")
        self._runs: dict[tuple[int, ...], int] = {}

    def add(self, run: list[int]) -> int:
        """Index of the first word of the run."""
        key = tuple(run)
        if key not in self._runs:
            self._runs[key] = len(self.words)
            self.words.extend(run)
        return self._runs[key]

    def add_text(self, text: bytes) -> int:
        padded = text + bytes(-len(text) % 4)
        return self.add(
            [int.from_bytes(padded[i : i + 4], "little") for i in range(0, len(padded), 4)]
        )


def bits(members: list[int], count: int) -> list[int]:
    """A set of numbers below `count`, as words of bits."""
    words = [0] * -(-count // 32)
    for member in members:
        words[member // 32] |= 1 << member % 32
    return words


class StatefulModel(ABC):
    """Compiles one object: its configuration once, and every call of its methods."""

    model: Model
    context_words: int

    def __init__(self, thing: PolicyObject, number: int, words: Words) -> None:
        self.thing = thing
        self.number = number
        self.words = words

    @abstractmethod
    def config(self) -> list[int]:
        """The configuration, as vm/model_*.c reads it."""

    @abstractmethod
    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        """Emits a call that leaves the result in register d."""

    def label(self, label: int | bool | str) -> int | None:
        """The value a query returns for a branch label, None if it never does."""
        return int(label) if isinstance(label, int) else None

    def symbols(self) -> dict[str, object]:
        """What people need to read a context."""
        return {}

    def capacity(self, max_sids: int) -> int:
        """Contexts the object holds."""
        return max_sids


class Flow(StatefulModel):
    model = Model.FLOW
    context_words = 1
    METHODS: ClassVar = ("init", "fini", "enter", "allow", "query", "enter_at", "is_at")
    WRITES: ClassVar = {
        "init": CLAIM_WRITES + 1,
        "fini": DROP_WRITES,
        "enter": 1,
        "enter_at": 1,
    }

    @property
    def flow(self) -> FlowConfig:
        config = self.thing.config
        assert isinstance(config, FlowConfig), config
        return config

    def config(self) -> list[int]:
        count = len(self.flow.states)
        rows = [bits(list(row), count) for row in self.flow.transitions]
        return [count, self.flow.initial, *(word for row in rows for word in row)]

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        named = dict(arguments)
        if method == "allow":
            self._allow(to, named["sid"], items_of(named["states"]), d)
            return
        to.value(named["sid"], d)
        if method == "enter" and not isinstance(named["state"], Constant):
            to.select(named["state"], d + 1, self._state_in(to))
            self._emit(to, "enter_at", d, d)
        elif method == "enter":
            self._emit(to, method, d, d, self._number(named["state"]))
        else:
            self._emit(to, method, d, d)

    def _emit(self, to: Expressions, method: str, d: int, a: int, operand: int = 0) -> None:
        to.out.emit(Op.CALL, to.out.use(d), a, self.METHODS.index(method), self.number, operand)
        to.out.writes += self.WRITES.get(method, 0)

    def _allow(
        self, to: Expressions, sid: Expression, items: tuple[Expression, ...], d: int
    ) -> None:
        """States that are written are one set; each that is computed is compared."""
        written = [self._number(item) for item in items if isinstance(item, Constant)]
        computed = [item for item in items if not isinstance(item, Constant)]
        row = self.words.add(bits(written, len(self.flow.states)))
        to.value(sid, d + 1)
        self._emit(to, "allow", d, d + 1, row)
        for item in computed:
            to.select(item, d + 2, self._state_in(to))
            self._emit(to, "is_at", d + 2, d + 1)
            to.out.emit(Op.OR, d, d, d + 2)

    def _number(self, expression: Expression) -> int:
        assert isinstance(expression, Constant) and isinstance(expression.value, str), expression
        return self.flow.states.index(expression.value)

    def _state_in(self, to: Expressions) -> Callable[[Expression, int], None]:
        """Computes a state: the number, here, of the state that another object is in."""

        def consume(leaf: Expression, d: int) -> None:
            if isinstance(leaf, Constant):
                to.constant(self._number(leaf), d)
                return
            assert isinstance(leaf, Query), leaf
            to.value(leaf, d)
            other = to.objects.stateful[leaf.object]
            assert isinstance(other, Flow), leaf
            if other.flow.states != self.flow.states:
                numbers = [self.flow.states.index(state) for state in other.flow.states]
                to.translate(numbers, d)

        return consume

    def label(self, label: int | bool | str) -> int | None:
        states = self.flow.states
        return states.index(label) if isinstance(label, str) and label in states else None

    def symbols(self) -> dict[str, object]:
        return {"states": list(self.flow.states)}


class Level(StatefulModel):
    """The audit level; all Base objects share it. In the image only if a rule sets it."""

    model = Model.LEVEL
    context_words = 1
    initial = 0
    used = False

    def config(self) -> list[int]:
        return [self.initial]

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        self.used = True
        to.value(arguments[0][1], d)
        to.out.emit(Op.CALL, d, d, 0, self.number)
        to.out.writes += CLAIM_WRITES + 1

    def capacity(self, max_sids: int) -> int:
        return 1


_STATEFUL: dict[str, type[StatefulModel]] = {"Flow": Flow}


class Objects:
    """The policy's objects; those with state have a number in the image."""

    def __init__(self, tree: PolicyTree) -> None:
        self.words = Words()
        self.stateful: dict[int, StatefulModel] = {}
        for thing in tree.objects:
            if kind := _STATEFUL.get(thing.model):
                self.stateful[thing.index] = kind(thing, len(self.stateful), self.words)
        self.level = self._level(tree)

    def _level(self, tree: PolicyTree) -> Level | None:
        bases = [thing for thing in tree.objects if thing.model == "Base"]
        if not bases:
            return None
        level = Level(bases[0], len(self.stateful), self.words)
        level.initial = tree.audit_default[1]
        return level

    def query(self, to: Expressions, query: Query, d: int) -> None:
        self.stateful[query.object].call(to, query.method, query.arguments, d)

    def rule(self, to: Expressions, rule: Rule, d: int) -> None:
        """Leaves in register d whether the rule grants."""
        if stateful := self.stateful.get(rule.object):
            stateful.call(to, rule.method, rule.arguments, d)
        elif not rule.arguments:
            to.constant(rule.method == "grant", d)
        else:
            self._plain(to, rule, d)

    def _plain(self, to: Expressions, rule: Rule, d: int) -> None:
        if rule.method == "set_level":
            assert self.level
            self.level.call(to, rule.method, rule.arguments, d)
            return
        to.value(rule.arguments[0][1], d)
        if rule.method == "deny":
            to.out.emit(Op.INVERT, d, d)

    def constant(self, rule: Rule) -> bool | None:
        """Whether a rule always grants or always denies; None if that depends on the event."""
        if rule.object in self.stateful:
            return None
        if not rule.arguments:
            return rule.method == "grant"
        argument = rule.arguments[0][1]
        if not isinstance(argument, Constant) or rule.method == "set_level":
            return None
        return argument.value is (rule.method == "assert")

    def emit(self, image: Image) -> None:
        """Appends the objects to the image."""
        for stateful in self._all():
            config = stateful.config()
            capacity = stateful.capacity(image.max_sids)
            record = ObjectRecord(
                identity=_identity(stateful.thing),
                model=stateful.model,
                config=self.words.add(config),
                config_words=len(config),
                capacity=capacity,
                buckets=1 << (capacity - 1).bit_length(),
                context_words=stateful.context_words,
                state=image.state_words,
            )
            image.objects.append(record)
            image.state_words += record.table_words
        image.words = self.words.words

    def _all(self) -> list[StatefulModel]:
        return [*self.stateful.values(), *([self.level] if self.level and self.level.used else [])]

    def symbols(self) -> dict[str, object]:
        objects = [
            {"name": item.thing.name, "model": item.thing.model, **item.symbols()}
            for item in self._all()
        ]
        return {"objects": objects, "level": self.level.initial if self.level else 0}


def _identity(thing: PolicyObject) -> int:
    digest = hashlib.sha256(f"{thing.name}\0{thing.identity}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
