"""What methods of users' own models mean: the interpreter of the reference engine, slow and plain.

Values are int, bool, str (a name) and frozenset (of names); a context is the tuple of its fields.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from kss.models.model import Contexts, EvaluationError
from kss.own import tree
from kss.own.tree import Config, Expression, Statement
from kss.types import IntegerType

_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
}
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


def call(config: Config, contexts: Contexts, method: str, arguments: Mapping[str, Any]) -> Any:
    """Calls a method; raises EvaluationError."""
    body = config.definition.methods[method].body
    frame = _Frame(config, contexts, dict(arguments))
    try:
        frame.run(body)
    except _ReturnError as found:
        return found.value
    raise AssertionError(method)


class _Frame:
    """The run of one method."""

    def __init__(self, config: Config, contexts: Contexts, local: dict[str, Any]) -> None:
        self.config = config
        self.contexts = contexts
        self.local = local
        self.fields = list(config.definition.fields)

    def run(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        match statement:
            case tree.Return(value):
                raise _ReturnError(self.value(value))
            case tree.If(condition, then, otherwise):
                self.run(then if self.value(condition) else otherwise)
            case tree.Repeat(variable, count, body):
                for number in range(self.config.number(count)):
                    self.local[variable.name] = number
                    self.run(body)
            case tree.Assign(variable, value):
                self.local[variable.name] = self.value(value)
            case tree.Store(name, sid, value):
                owner, new = self.value(sid), self.value(value)
                at = self.fields.index(name)
                context = self.context(owner)
                self.contexts[owner] = (*context[:at], new, *context[at + 1 :])
            case tree.Create(sid, values):
                if not self.contexts.claim(self.value(sid), tuple(map(self.value, values))):
                    raise EvaluationError("no context can be created")
            case tree.Drop(sid):
                owner = self.value(sid)
                self.context(owner)
                del self.contexts[owner]

    def context(self, sid: int) -> tuple[Any, ...]:
        if sid not in self.contexts:
            raise EvaluationError(f"SID {sid} has no context")
        found: tuple[Any, ...] = self.contexts[sid]
        return found

    def value(self, expression: Expression) -> Any:
        match expression:
            case tree.Constant(value):
                return value
            case tree.Setpoint(name):
                return self.config.values[name]
            case tree.Local(name):
                return self.local[name]
            case tree.FieldOf(name, sid):
                return self.context(self.value(sid))[self.fields.index(name)]
            case tree.Has(sid):
                return self.value(sid) in self.contexts
            case tree.Logical("and", left, right):
                return self.value(left) and self.value(right)
            case tree.Logical(_, left, right):
                return self.value(left) or self.value(right)
            case tree.Compare(sign, left, right):
                return _ORDER[sign](self.value(left), self.value(right))
            case tree.Unary() | tree.Binary():
                return _held(self.operation(expression), expression.type)
            case tree.Ask(method, arguments):
                names = [each.name for each in self.config.definition.methods[method].parameters]
                given = dict(zip(names, map(self.value, arguments), strict=True))
                return call(self.config, self.contexts, method, given)
            case _:
                return self.names(expression)

    def names(
        self, expression: tree.Member | tree.SetOf | tree.Selected | tree.Related
    ) -> bool | frozenset[str]:
        match expression:
            case tree.Member(name, whole):
                found: bool = self.value(name) in self.value(whole)
                return found
            case tree.SetOf(items):
                return frozenset(map(self.value, items))
            case tree.Related(name, key):
                return self.config.related(name, self.value(key))
            case tree.Selected(variable, condition, kind):
                return frozenset(
                    each
                    for each in self.config.members(kind.of)
                    if _with(self, variable, each).value(condition)
                )

    def operation(self, expression: tree.Unary | tree.Binary) -> Any:
        if isinstance(expression, tree.Binary):
            left, right = self.value(expression.left), self.value(expression.right)
            return _ARITHMETIC[expression.operator](left, right)
        value, kind = self.value(expression.operand), expression.type
        if expression.operator == "not":
            return not value
        if expression.operator == "-":
            return -value
        assert isinstance(kind, IntegerType)
        return kind.high + kind.low - value


def _with(frame: _Frame, variable: str, value: Any) -> _Frame:
    return _Frame(frame.config, frame.contexts, {**frame.local, variable: value})


def _held(value: Any, kind: tree.Type) -> Any:
    if isinstance(kind, IntegerType) and not kind.holds(value):
        raise EvaluationError(f"{value} is no {kind}")
    return value
