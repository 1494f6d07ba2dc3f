"""Bool: logic on conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, cast

from kss import syntax, tree
from kss.models.model import Contexts, Model, Operation, Parameter, Pure, Signature, Typing, Value
from kss.syntax import Span
from kss.types import BOOLEAN, BooleanType, IntegerType, ListType, Type, UnitType


class Bool(Model):
    name = "Bool"
    file = "nk.basic"
    predeclared = "bool"
    declarable = False
    auditable = False
    operators: ClassVar[Mapping[str, str]] = {"!": "not", "&&": "and", "||": "or", "==>": "implies"}
    operations: ClassVar[Mapping[str, Operation]] = {
        "not": lambda _, values: not values[0],
        "all": lambda _, values: all(values[0]),
        "any": lambda _, values: any(values[0]),
        "cond": lambda _, values: values[1] if values[0] else values[2],
    }

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        return {"assert": Signature((Parameter("value", BOOLEAN),))}

    def pure(self) -> Mapping[str, Pure]:
        return {"all": _fold, "any": _fold, "cond": _cond}

    def condition(
        self, method: str, arguments: Mapping[str, tree.Expression]
    ) -> tree.Expression | None:
        return arguments["value"]

    def unary(
        self, typing: Typing, operator: str, operand: tree.Expression, span: Span
    ) -> tree.Expression:
        _must_be_boolean(typing, operator, operand, span)
        return tree.Apply("bool.not", (operand,), BOOLEAN)

    def binary(
        self,
        typing: Typing,
        operator: str,
        left: tree.Expression,
        right: tree.Expression,
        span: Span,
    ) -> tree.Expression:
        _must_be_boolean(typing, operator, left, span)
        _must_be_boolean(typing, operator, right, span)
        word = cast(Literal["and", "or", "implies"], self.operators[operator])
        return tree.Logical(word, left, right, BOOLEAN)

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        return arguments["value"]


def _must_be_boolean(typing: Typing, operator: str, operand: tree.Expression, span: Span) -> None:
    if operand.type != BOOLEAN:
        number = isinstance(operand.type, IntegerType)
        help = "compare it first" if number else "give a Boolean: a comparison, true or false"
        raise typing.fail("PSL-030", span, f"'{operator}' takes Boolean, not {operand.type}", help)


def _fold(typing: Typing, call: syntax.Call) -> tree.Expression:
    method = call.name.parts[-1]
    values = typing.check(call.argument, ListType(BOOLEAN))
    return tree.Apply(f"bool.{method}", (values,), BOOLEAN)


def _cond(typing: Typing, call: syntax.Call) -> tree.Expression:
    condition, then, otherwise = typing.fields(call.argument, ("if", "then", "else"), "bool.cond")
    test = typing.check(condition, BOOLEAN)
    left, right = typing.infer(then), typing.infer(otherwise)
    kind: Type = left.type
    if isinstance(left.type, IntegerType) and isinstance(right.type, IntegerType):
        left, right, kind = typing.common(left, right, otherwise.span)
    elif left.type != right.type or not isinstance(kind, (BooleanType, UnitType)):
        help = "both must be integers, both Boolean or both ()"
        message = f"'then' is {left.type}, 'else' is {right.type}"
        raise typing.fail("PSL-030", otherwise.span, message, help)
    return tree.Apply("bool.cond", (test, left, right), kind)
