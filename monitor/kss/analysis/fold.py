"""From the items of a binding to the guard of an interaction: names are known, constants folded.

Folding knows the bounds of types: `message.level >= 0` of an unsigned level is no condition.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from kss import tree, types
from kss.analysis.abstract import Abstract, Policy, Seen
from kss.analysis.guard import Cases, Evaluable, Grants, Guard, Holds, Part
from kss.analysis.interactions import Facts, holds
from kss.analysis.outcome import Outcome
from kss.analysis.values import Choices, Fails, Known, Numbers, is_certain
from kss.models import MODELS
from kss.recursion import deep_recursion
from kss.tree import Apply, Constant, Expression, Item
from kss.types import BOOLEAN

Operator: TypeAlias = Literal["and", "or", "implies"]
Arguments: TypeAlias = tuple[tuple[str, Expression], ...]

_OPPOSITE = {
    "pred.eq": "pred.ne",
    "pred.lt": "pred.ge",
    "pred.le": "pred.gt",
}
_OPPOSITES = ChainMap(_OPPOSITE, {other: one for one, other in _OPPOSITE.items()})


class Folder:
    """Makes guards of one policy."""

    def __init__(self, policy: tree.PolicyTree) -> None:
        self._objects = policy.objects
        self._policy = Policy(policy.objects)
        self._seen: Seen = {}

    def guard(self, bindings: Iterable[tree.Binding], facts: Facts) -> Guard:
        """The guard of an event of which selectors see these facts."""
        found = _Parts()
        with deep_recursion():
            for binding in bindings:
                if holds(binding.condition, facts):
                    self._items(binding.items, facts, found)
        guard = found.guard()
        calls = guard.called or any(isinstance(part, Cases) for part in guard.parts)
        return guard if calls else Guard()

    def _items(self, items: tuple[Item, ...], facts: Facts, found: _Parts) -> None:
        for item in items:
            match item:
                case tree.Rule():
                    self._rule(item, found)
                case tree.Evaluate(site, expression):
                    self._evaluable(site, expression, found)
                case tree.Match(condition, inner):
                    if holds(condition, facts):
                        self._items(inner, facts, found)
                case tree.Choice():
                    self._choice(item, facts, found)

    def _rule(self, rule: tree.Rule, found: _Parts) -> None:
        found.called = True
        model = MODELS[self._objects[rule.object].model]
        condition = model.condition(rule.method, dict(rule.arguments))
        if condition is None:
            simple = replace(rule, arguments=self._arguments(rule.arguments))
            found.parts.append(Grants(rule.site, simple))
            return
        strict = (condition, *(condition.operands if isinstance(condition, Apply) else ()))
        for _, value in rule.arguments:
            if not any(value is each for each in strict):
                self._evaluable(rule.site, value, found)
        holds = Outcome(self._policy, {}).holds(condition)
        if holds is None:
            parts = _conjunction(self.simple(condition))
            found.parts += [Holds(rule.site, each) for each in parts]
        else:
            (found.granting if holds else found.refusing).append(rule.site)

    def _evaluable(self, site: int, value: Expression, found: _Parts) -> None:
        fails = Abstract(self._policy, {}).value(value).fails
        if fails is Fails.ALWAYS:
            found.refusing.append(site)
        elif fails is Fails.MAYBE:
            found.parts.append(Evaluable(site, self.simple(value)))

    def _choice(self, choice: tree.Choice, facts: Facts, found: _Parts) -> None:
        def inner(items: tuple[Item, ...]) -> Guard:
            parts = _Parts()
            self._items(items, facts, parts)
            return parts.guard()

        branches = tuple((branch.label, inner(branch.items)) for branch in choice.branches)
        default = None if choice.default is None else inner(choice.default)
        whole = Cases(choice.site, self._scrutinee(choice.scrutinee), branches, default)
        taken, fails = Outcome(self._policy, {}).taken(whole)
        if fails is Fails.ALWAYS:
            found.refusing.append(choice.site)
            return
        guards = [whole.guard(index) for index in taken]
        first = guards[0]
        refusing = [guard.refused for guard in guards if guard.refused is not None]
        if len(refusing) == len(guards):
            found.refusing.append(refusing[0])
            return
        needless = len(taken) == 1 or not any(_matters(guard, first) for guard in guards)
        if needless and fails is Fails.NEVER:
            found.add(first)
        elif needless and not isinstance(whole.value, tree.Query):
            found.parts.append(Evaluable(choice.site, whole.value))
            found.add(first)
        else:
            possible = tuple(each for i, each in enumerate(branches) if i in taken)
            rest = whole.guard(None) if None in taken else None
            found.parts.append(Cases(choice.site, whole.value, possible, rest))

    # ---- expressions

    def _scrutinee(self, expression: Expression) -> Expression:
        """What `choice` is on: an expression method may have a meaning there alone."""
        if not isinstance(expression, tree.Query):
            return self.simple(expression)
        return replace(expression, arguments=self._arguments(expression.arguments))

    def _arguments(self, arguments: Arguments) -> Arguments:
        return tuple((name, self.simple(value)) for name, value in arguments)

    def simple(self, expression: Expression) -> Expression:
        """An expression with the same value in every case, and as far as can be told a simpler
        one."""
        known = Abstract(self._policy, {}, seen=self._seen).value(expression)
        if known.fails is Fails.NEVER and (found := _constant(known, expression)):
            return found
        match expression:
            case tree.Place(_, steps):
                return replace(expression, steps=tuple(map(self._step, steps)))
            case tree.ListValue(items):
                return replace(expression, items=tuple(map(self.simple, items)))
            case tree.RecordValue(fields):
                return replace(expression, fields=self._arguments(fields))
            case tree.Query(_, _, arguments):
                return replace(expression, arguments=self._arguments(arguments))
            case tree.Logical(operator, left, right):
                return _logical(operator, self.simple(left), self.simple(right))
            case tree.Apply(operation, operands, kind):
                return _apply(operation, tuple(map(self.simple, operands)), kind)
        return expression

    def _step(self, step: tree.Step) -> tree.Step:
        if isinstance(step, tree.ElementStep):
            return replace(step, index=self.simple(step.index))
        return step


class _Parts:
    """A guard as it grows."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.granting: list[int] = []
        self.refusing: list[int] = []
        self.called = False

    def add(self, guard: Guard) -> None:
        self.parts += guard.parts
        self.granting += guard.granting
        self.refusing += [] if guard.refused is None else [guard.refused]
        self.called |= guard.called

    def guard(self) -> Guard:
        if self.refusing:
            return Guard(called=True, refused=self.refusing[0])
        return Guard(tuple(self.parts), self.called, None, tuple(self.granting))


def _constant(known: Known, expression: Expression) -> Constant | None:
    """The constant that a scalar is, if it is certain."""
    if not is_certain(known) or isinstance(expression, Constant):
        return None
    match known.value:
        case Numbers(low, _):
            return Constant(low, expression.type)
        case Choices((bool() | None as value,)):
            return Constant(value, expression.type)
    return None


def _matters(guard: Guard, other: Guard) -> bool:
    """Whether the guards of two branches may differ."""
    plain = Guard(called=other.called, granting=guard.granting)
    return guard != plain or bool(other.parts) or other.refused is not None


def _conjunction(expression: Expression) -> Iterable[Expression]:
    if isinstance(expression, tree.Logical) and expression.operator == "and":
        yield from _conjunction(expression.left)
        yield from _conjunction(expression.right)
    else:
        yield expression


def _logical(operator: Operator, left: Expression, right: Expression) -> Expression:
    """An operator whose result is not certain; so a constant on the left is not decisive."""
    if isinstance(left, Constant):
        return right
    if operator == "implies":
        return _logical("or", _negated(left), right)
    if isinstance(right, Constant) and right.value is (operator == "and"):
        return left
    return tree.Logical(operator, left, right, BOOLEAN)


def _apply(operation: str, operands: tuple[Expression, ...], kind: types.Type) -> Expression:
    if operation == "bool.not":
        return _negated(operands[0])
    return Apply(operation, operands, kind)


def _negated(expression: Expression) -> Expression:
    """The opposite of a Boolean; it fails where that does."""
    match expression:
        case Constant(value):
            return Constant(not value, BOOLEAN)
        case Apply("bool.not", (operand,)):
            return operand
        case Apply(operation, operands) if operation in _OPPOSITES:
            return Apply(_OPPOSITES[operation], operands, BOOLEAN)
        case tree.Logical("and", left, right):
            return tree.Logical("or", _negated(left), _negated(right), BOOLEAN)
        case tree.Logical("or", left, right):
            return tree.Logical("and", _negated(left), _negated(right), BOOLEAN)
    return Apply("bool.not", (expression,), BOOLEAN)
