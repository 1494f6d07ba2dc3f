"""Pure operations (`tree.Apply`) on what is known of their operands."""

from __future__ import annotations

from collections.abc import Callable

from kss import types
from kss.analysis.values import (
    ANYTHING,
    FAILURE,
    Fails,
    Known,
    Numbers,
    Row,
    Value,
    boolean,
    compared,
    everything,
    fitted,
    join,
    of_bits,
    product,
    truth,
)
from kss.models.math import complement
from kss.types import Type

ZERO = Numbers(0, 0)


def applied(operation: str, kind: Type, values: list[Value]) -> Known:
    """The outcome of an operation whose operands do not fail; `kind` is the result's type.

    `pred.empty` takes the size instead of the list or text; `struct.size` is not one of these.
    """
    model, _, name = operation.partition(".")
    if operation == "pred.empty":
        return Known(boolean(compared("eq", values[0], ZERO)))
    if model == "pred":
        return Known(boolean(compared(name, *values)))
    if operation == "struct.element":
        return _element(values[0], values[1])
    if model == "bool":
        return Known(_BOOL[name](values))
    if name in ("sum", "product"):
        return _folded(name, kind, values[0])
    return _computed(name, kind, values)


def _element(items: Value, index: Value) -> Known:
    assert isinstance(index, Numbers), index
    if not isinstance(items, Row):
        return FAILURE if index.high < 0 else Known(ANYTHING, Fails.MAYBE)
    count = len(items.items)
    if index.high < 0 or index.low >= count:
        return FAILURE
    inside = index.low >= 0 and index.high < count
    found = items.items[max(index.low, 0) : index.high + 1]
    return Known(join(found), Fails.NEVER if inside else Fails.MAYBE)


# ---- Booleans ----------------------------------------------------------------


def _all(values: list[Value]) -> Value:
    if not isinstance(values[0], Row):
        return boolean(None)
    answers = [truth(item) for item in values[0].items]
    return boolean(False if False in answers else None if None in answers else True)


def _any(values: list[Value]) -> Value:
    if not isinstance(values[0], Row):
        return boolean(None)
    answers = [truth(item) for item in values[0].items]
    return boolean(True if True in answers else None if None in answers else False)


def _not(values: list[Value]) -> Value:
    known = truth(values[0])
    return boolean(None if known is None else not known)


def _cond(values: list[Value]) -> Value:
    test, then, otherwise = values
    known = truth(test)
    return join([then, otherwise]) if known is None else then if known else otherwise


_BOOL: dict[str, Callable[[list[Value]], Value]] = {
    "not": _not,
    "all": _all,
    "any": _any,
    "cond": _cond,
}


# ---- integers ----------------------------------------------------------------


def _folded(name: str, kind: Type, items: Value) -> Known:
    """`sum` or `product`, step by step from the left."""
    if not isinstance(items, Row):
        return Known(everything(kind), Fails.MAYBE)
    start = 0 if name == "sum" else 1
    total, fails = Numbers(start, start), Fails.NEVER
    for item in items.items:
        step = _computed("add" if name == "sum" else "mul", kind, [total, item])
        if step.fails is Fails.ALWAYS:
            return FAILURE
        assert isinstance(step.value, Numbers)
        total, fails = step.value, max(fails, step.fails)
    return Known(total, fails)


def _computed(name: str, kind: Type, values: list[Value]) -> Known:
    numbers = [value for value in values if isinstance(value, Numbers)]
    assert len(numbers) == len(values), (name, values)
    assert isinstance(kind, types.IntegerType), kind
    if name in ("and", "or"):
        join_bits = int.__and__ if name == "and" else int.__or__
        return Known(of_bits(kind, numbers[0], numbers[1], join_bits))
    if name == "not":
        corners = [complement(kind, end) for end in (numbers[0].low, numbers[0].high)]
        return Known(Numbers(min(corners), max(corners)))
    if name == "widen":
        return Known(numbers[0])
    return fitted(kind, *_exact(name, numbers))


def _exact(name: str, numbers: list[Numbers]) -> tuple[int, int]:
    """Bounds of the result before it has to fit its type."""
    a, b = numbers[0], numbers[-1]
    match name:
        case "add":
            return a.low + b.low, a.high + b.high
        case "sub":
            return a.low - b.high, a.high - b.low
        case "mul":
            return product(a, b)
        case "neg":
            return -a.high, -a.low
        case "abs":
            least = 0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
            return least, max(abs(a.low), abs(a.high))
    raise AssertionError(name)
