"""Pred: comparisons."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import ClassVar

from kss import syntax, tree
from kss.models.model import Model, Operation, Pure, Typing
from kss.syntax import Span
from kss.types import (
    BOOLEAN,
    ArrayType,
    IntegerType,
    ListType,
    LiteralType,
    MapType,
    SequenceType,
    SetType,
    TextType,
    TupleType,
    Type,
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
            _must_compare(typing, operator, left.type, right.type, span)
        return tree.Apply(f"pred.{self.operators[operator]}", (left, right), BOOLEAN)


def _must_compare(typing: Typing, operator: str, left: Type, right: Type, span: Span) -> None:
    texts = (TextType, LiteralType, VariantType)
    if isinstance(left, texts) and isinstance(right, texts):
        from kss.models import MODELS  # which are being gathered when this module is read

        match = "re.match { text : ..., pattern : ... } after use nk.regex._, or "
        help = f"use {match if 'Regex' in MODELS else ''}choice"
        raise typing.fail("PSL-037", span, f"'{operator}' does not compare texts", help)
    if left != right or not isinstance(left, (IntegerType, UnitType, type(BOOLEAN))):
        help = "both sides must be integers, or both Boolean"
        raise typing.fail(
            "PSL-030", span, f"'{operator}' does not compare {left} with {right}", help
        )
    if operator not in ("==", "!="):
        raise typing.fail("PSL-030", span, f"'{operator}' orders integers only", "use == or !=")


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
