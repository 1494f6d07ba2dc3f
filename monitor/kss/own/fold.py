"""Operations on values that are known when the policy is compiled."""

from __future__ import annotations

from dataclasses import dataclass

from kss.own import tree
from kss.types import IntegerType


@dataclass(frozen=True, slots=True)
class Known:
    """A value known when the policy is compiled."""

    value: int


def known_result(node: tree.Unary | tree.Binary, *values: int) -> Known | None:
    """The result of an operation on known values; None if it fails, which it does at run time."""
    kind = node.type
    first, last = values[0], values[-1]
    match node.operator, len(values):
        case "not", _:
            return Known(int(not first))
        case "~", _:
            assert isinstance(kind, IntegerType)
            return Known(kind.high + kind.low - first)
        case "-", 2 if isinstance(kind, tree.NameSet):
            return Known(first & ~last)
        case "-", 2:
            result = first - last
        case "-", _:
            result = -first
        case "+", _:
            result = first + last
        case "*", _:
            result = first * last
        case "&", _:
            return Known(first & last)
        case _:
            return Known(first | last)
    return Known(result) if isinstance(kind, IntegerType) and kind.holds(result) else None


def compared(sign: str, kind: tree.Type, left: int, right: int) -> Known:
    if sign == "<=" and isinstance(kind, tree.NameSet):
        return Known(int(left & ~right == 0))
    holds = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return Known(int(holds[sign]))
