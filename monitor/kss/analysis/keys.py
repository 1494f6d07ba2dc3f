"""Expressions as keys: equal keys mean equal values in every message and state, also if they stem
from different policies."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from kss.models import MODELS
from kss.tree import (
    Apply,
    Constant,
    ElementStep,
    Expression,
    ListValue,
    Logical,
    Place,
    PolicyObject,
    Query,
    RecordValue,
    Rule,
    Sid,
    Step,
)


class Keys:
    """Keys for the expressions of one policy."""

    def __init__(self, objects: Sequence[PolicyObject]) -> None:
        self._objects = objects
        # By id; kept with what it is of, so that nothing else can have that id.
        self._known: dict[int, tuple[object, Hashable]] = {}
        self._owners: dict[int, tuple[object, tuple[str, ...]]] = {}

    def of(self, expression: Expression) -> Hashable:
        found = self._known.get(id(expression))
        if found is None:
            found = self._known[id(expression)] = (expression, self._of(expression))
        return found[1]

    def _of(self, expression: Expression) -> Hashable:
        match expression:
            case Constant(value, kind):
                return ("constant", type(value).__name__, value, str(kind))
            case Sid(which):
                return ("sid", which)
            case Place(_, steps, wire):
                return ("place", str(wire), tuple(self._step(step) for step in steps))
            case ListValue(items):
                return ("list", tuple(self.of(item) for item in items))
            case RecordValue(fields):
                return ("record", tuple((name, self.of(item)) for name, item in fields))
            case Apply(operation, operands, kind):
                return (operation, str(kind), tuple(self.of(operand) for operand in operands))
            case Logical(operator, left, right):
                return (operator, self.of(left), self.of(right))
            case Query():
                return ("query", str(expression.type), *self._call(expression))

    def rule(self, rule: Rule) -> Hashable:
        """What a rule does."""
        found = self._known.get(id(rule))
        if found is None:
            found = self._known[id(rule)] = (rule, ("rule", *self._call(rule)))
        return found[1]

    def answer(self, rule: Rule) -> Hashable:
        """What a rule answers."""
        without = MODELS[self._objects[rule.object].model].undecided_by(rule.method)
        if not without:
            return self.rule(rule)
        given = tuple((name, value) for name, value in rule.arguments if name not in without)
        return ("answer", *self._call(replace(rule, arguments=given)))

    def _call(self, call: Rule | Query) -> tuple[Hashable, ...]:
        thing = self._objects[call.object]
        arguments = tuple((name, self.of(value)) for name, value in call.arguments)
        meaning = MODELS[thing.model].meaning(thing.config, call.method)
        return (thing.name, thing.model, meaning or thing.identity, call.method, arguments)

    def _step(self, step: Step) -> Hashable:
        return self.of(step.index) if isinstance(step, ElementStep) else step.name

    def owner(self, call: Rule | Query) -> str:
        """Under which name the contexts are kept that a call reads and changes."""
        thing = self._objects[call.object]
        return thing.model if MODELS[thing.model].shared else thing.name

    def owners(self, call: Rule | Query) -> tuple[str, ...]:
        """`owner` of a call and of all calls in its arguments, sorted."""
        found = self._owners.get(id(call))
        if found is None:
            inner = [query for _, value in call.arguments for query in queries(value)]
            names = {self.owner(each) for each in (call, *inner)}
            found = self._owners[id(call)] = (call, tuple(sorted(names)))
        return found[1]


def queries(expression: Expression) -> Iterator[Query]:
    """Every call of an expression method within an expression."""
    if isinstance(expression, Query):
        yield expression
    for part in parts(expression):
        yield from queries(part)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions that an expression is made of."""
    match expression:
        case Place(_, steps):
            return tuple(step.index for step in steps if isinstance(step, ElementStep))
        case ListValue(items):
            return items
        case RecordValue(fields):
            return tuple(item for _, item in fields)
        case Apply(_, operands):
            return operands
        case Logical(_, left, right):
            return (left, right)
        case Query(_, _, arguments):
            return tuple(item for _, item in arguments)
    return ()
