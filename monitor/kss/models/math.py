"""Math: arithmetic in the width of its operands; a result that does not fit is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import ClassVar

from kss import syntax, tree
from kss.models.model import EvaluationError, Model, Operation, Pure, Typing, Value
from kss.syntax import Span
from kss.types import BOOLEAN, IntegerType, Type


def fitting(kind: Type, value: int) -> int:
    """The value, if the type holds it. Raises EvaluationError on overflow."""
    assert isinstance(kind, IntegerType)
    if not kind.holds(value):
        raise EvaluationError(f"{value} overflows {kind}")
    return value


def complement(kind: Type, value: int) -> int:
    assert isinstance(kind, IntegerType)
    return ~value if kind.signed else kind.high - value


def _steps(function: Callable[[int, int], int], start: int) -> Operation:
    def fold(kind: Type, values: list[Value]) -> Value:
        items: Iterable[int] = values[0]
        return reduce(lambda total, item: fitting(kind, function(total, item)), items, start)

    return fold


class Math(Model):
    name = "Math"
    file = "nk.basic"
    predeclared = "math"
    declarable = False
    auditable = False
    operators: ClassVar[Mapping[str, str]] = {
        "+": "add",
        "-": "sub",
        "*": "mul",
        "&": "and",
        "|": "or",
        "~": "not",
    }
    operations: ClassVar[Mapping[str, Operation]] = {
        "add": lambda kind, values: fitting(kind, values[0] + values[1]),
        "sub": lambda kind, values: fitting(kind, values[0] - values[1]),
        "mul": lambda kind, values: fitting(kind, values[0] * values[1]),
        "and": lambda _, values: values[0] & values[1],
        "or": lambda _, values: values[0] | values[1],
        "not": lambda kind, values: complement(kind, values[0]),
        "neg": lambda kind, values: fitting(kind, -values[0]),
        "abs": lambda kind, values: fitting(kind, abs(values[0])),
        "sum": _steps(lambda a, b: a + b, 0),
        "product": _steps(lambda a, b: a * b, 1),
        "widen": lambda _, values: values[0],
    }

    def pure(self) -> Mapping[str, Pure]:
        casts = {f"{sign}int{bits}": _cast for sign in "us" for bits in (16, 32, 64)}
        return {"neg": _signed, "abs": _signed, "sum": _fold, "product": _fold, **casts}

    def unary(
        self, typing: Typing, operator: str, operand: tree.Expression, span: Span
    ) -> tree.Expression:
        _must_be_integer(typing, operator, operand, span)
        return tree.Apply("math.not", (operand,), operand.type)

    def binary(
        self,
        typing: Typing,
        operator: str,
        left: tree.Expression,
        right: tree.Expression,
        span: Span,
    ) -> tree.Expression:
        _must_be_integer(typing, operator, left, span)
        _must_be_integer(typing, operator, right, span)
        left, right, kind = typing.common(left, right, span)
        return tree.Apply(f"math.{self.operators[operator]}", (left, right), kind)


def _no_integer(kind: Type) -> str:
    """What may have been meant by a value that is no integer."""
    if kind == BOOLEAN:
        return "a Boolean is combined with !, && and ||"
    return "name an integer: a number, a field or an element of the message"


def _must_be_integer(typing: Typing, operator: str, operand: tree.Expression, span: Span) -> None:
    if not isinstance(operand.type, IntegerType):
        message = f"'{operator}' takes integers, not {operand.type}"
        raise typing.fail("PSL-030", span, message, _no_integer(operand.type))


def _signed(typing: Typing, call: syntax.Call) -> tree.Expression:
    method = call.name.parts[-1]
    operand = typing.settle(typing.infer(call.argument), call.argument.span)
    if not (isinstance(operand.type, IntegerType) and operand.type.signed):
        help = "cast an unsigned integer with math.sint16, math.sint32 or math.sint64"
        message = f"math.{method} takes a signed integer, not {operand.type}"
        raise typing.fail("PSL-030", call.argument.span, message, help)
    return tree.Apply(f"math.{method}", (operand,), operand.type)


def _fold(typing: Typing, call: syntax.Call) -> tree.Expression:
    method = call.name.parts[-1]
    values, element = typing.elements(call.argument, f"math.{method}")
    if not isinstance(element, IntegerType):
        message = f"math.{method} takes a list of integers, not of {element}"
        raise typing.fail("PSL-030", call.argument.span, message, f"math.{method} [a, b]")
    return tree.Apply(f"math.{method}", (values,), element)


def _cast(typing: Typing, call: syntax.Call) -> tree.Expression:
    """Widening only: to unsigned from unsigned, to signed from signed or narrower unsigned."""
    method = call.name.parts[-1]
    target = IntegerType(int(method[4:]), method[0] == "s")
    operand = typing.infer(call.argument)
    kind = operand.type
    if isinstance(kind, IntegerType) and kind.bits == 0:  # a literal adopts the type
        return typing.check(call.argument, target)
    fits = isinstance(kind, IntegerType) and kind.low >= target.low and kind.high <= target.high
    if not fits:
        message = f"math.{method} cannot hold every {kind}"
        raise typing.fail("PSL-030", call.argument.span, message, "casts only widen")
    if kind == target:
        return operand
    return tree.Apply("math.widen", (operand,), target)
