"""Pred: comparisons."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import ClassVar

from kss import syntax, tree
from kss.models.model import Model, Operation, Pure, Typing
from kss.regex.parser import quote
from kss.syntax import Span
from kss.types import (
    BOOLEAN,
    ArrayType,
    BooleanType,
    IntegerType,
    ListType,
    LiteralType,
    MapType,
    SequenceType,
    SetType,
    TextType,
    TupleType,
    UnitType,
    VariantType,
)

COLLECTIONS = (TextType, ListType, SetType, SequenceType, ArrayType, MapType, TupleType)


class Pred(Model):
    name = "Pred"
    file = "nk.basic"
    predeclared = "pred"
    declarable = False
    auditable = False
    operators: ClassVar[Mapping[str, str]] = {
        "==": "eq",
        "!=": "ne",
        "<": "lt",
        "<=": "le",
        ">": "gt",
        ">=": "ge",
    }
    operations: ClassVar[Mapping[str, Operation]] = {
        "eq": lambda _, values: operator.eq(*values),
        "ne": lambda _, values: operator.ne(*values),
        "lt": lambda _, values: operator.lt(*values),
        "le": lambda _, values: operator.le(*values),
        "gt": lambda _, values: operator.gt(*values),
        "ge": lambda _, values: operator.ge(*values),
        "empty": lambda _, values: len(values[0]) == 0,
    }

    def pure(self) -> Mapping[str, Pure]:
        return {"empty": _empty}

    def binary(
        self,
        typing: Typing,
        operator: str,
        left: tree.Expression,
        right: tree.Expression,
        span: Span,
    ) -> tree.Expression:
        if isinstance(left.type, IntegerType) and isinstance(right.type, IntegerType):
            left, right, _ = typing.common(left, right, span)
        else:
            _must_compare(typing, operator, left, right, span)
        return tree.Apply(f"pred.{self.operators[operator]}", (left, right), BOOLEAN)


def _must_compare(
    typing: Typing, operator: str, left: tree.Expression, right: tree.Expression, span: Span
) -> None:
    texts = (TextType, LiteralType, VariantType)
    if isinstance(left.type, texts) and isinstance(right.type, texts):
        help = _comparison(operator, left, right)
        raise typing.fail("PSL-037", span, f"'{operator}' does not compare texts", help)
    if left.type != right.type or not isinstance(left.type, (IntegerType, UnitType, BooleanType)):
        help = "both sides must be integers, both Boolean or both ()"
        message = f"'{operator}' does not compare {left.type} with {right.type}"
        raise typing.fail("PSL-030", span, message, help)
    if operator not in ("==", "!="):
        raise typing.fail("PSL-030", span, f"'{operator}' orders integers only", "use == or !=")


def _comparison(operator: str, left: tree.Expression, right: tree.Expression) -> str:
    """What does compare texts."""
    given = [each.value for each in (left, right) if isinstance(each, tree.Constant)]
    text = next((value for value in given if isinstance(value, str)), None)
    pattern = None if text is None else quote(text)
    if not isinstance(left.type, TextType) or not isinstance(right.type, TextType):
        return "choice (...) { " + (f'"{text}" : ... ' if text else "") + "_ : ... }"
    if text is None:
        return "a text is compared with constants only: re.match of nk.regex._, or choice"
    if pattern is None:
        return f'choice (...) {{ "{text}" : ... _ : ... }}'
    literal = pattern.replace("\\", "\\\\").replace('"', '\\"')
    sign = "!" if operator == "!=" else ""
    return f'use nk.regex._, then {sign}re.match {{ text : ..., pattern : "{literal}" }}'


def _empty(typing: Typing, call: syntax.Call) -> tree.Expression:
    if isinstance(call.argument, syntax.Literal) and call.argument.value is None:
        return tree.Constant(True, BOOLEAN)
    if isinstance(call.argument, syntax.Dict):
        return tree.Constant(not call.argument.entries, BOOLEAN)
    value = typing.infer(call.argument)
    if not isinstance(value.type, COLLECTIONS):
        help = "pred.empty takes text, a set, a list or a map"
        raise typing.fail("PSL-030", call.argument.span, f"{value.type} is never empty", help)
    return tree.Apply("pred.empty", (typing.settle(value, call.argument.span),), BOOLEAN)
