"""Struct: sizes and elements. Fields and elements of messages are `tree.Place`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kss import syntax, tree
from kss.models.model import EvaluationError, Model, Operation, Pure, Typing, Value
from kss.models.pred import COLLECTIONS
from kss.types import UINT32, Type


def element(_: Type, values: list[Value]) -> Value:
    """`x.[n]`. Raises EvaluationError if there is no such element."""
    items, index = values
    if not 0 <= index < len(items):
        raise EvaluationError(f"index {index} of {len(items)} elements")
    return items[index]


class Struct(Model):
    name = "Struct"
    file = "nk.basic"
    predeclared = "struct"
    declarable = False
    auditable = False
    operations: ClassVar[Mapping[str, Operation]] = {
        "size": lambda _, values: len(values[0]),
        "element": element,
    }

    def pure(self) -> Mapping[str, Pure]:
        return {"size": _size}


def _size(typing: Typing, call: syntax.Call) -> tree.Expression:
    value = typing.infer(call.argument)
    if not isinstance(value.type, COLLECTIONS):
        help = "size takes text, bytes, a list, a set, a map, a sequence or an array"
        raise typing.fail("PSL-030", call.argument.span, f"{value.type} has no size", help)
    return tree.Apply("struct.size", (typing.settle(value, call.argument.span),), UINT32)
