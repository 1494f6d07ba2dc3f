"""What is known of a value that is not known: bounds, alternatives, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from typing import NamedTuple, TypeAlias

from kss import types
from kss.types import IntegerType, Type


class Fails(IntEnum):
    """Whether an evaluation ends in an error."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Numbers:
    """An integer from `low` to `high`."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Choices:
    """One of these: Booleans, texts (bytes), names (str) or None; in a fixed order, each once.

    `partial`: there are other values, of which these are only examples.
    """

    values: tuple[Hashable, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A list of known length."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Anything:
    """A value of which nothing is known."""


Domain: TypeAlias = Numbers | Choices
Value: TypeAlias = Numbers | Choices | Row | Anything

ANYTHING = Anything()
BOTH, TRUE, FALSE = Choices((False, True)), Choices((True,)), Choices((False,))
UNIT = Choices((None,))


class Known(NamedTuple):
    """What is known of the outcome of an evaluation; the value means nothing if it always fails."""

    value: Value
    fails: Fails = Fails.NEVER


FAILURE = Known(ANYTHING, Fails.ALWAYS)


def is_single(value: Value) -> bool:
    """Whether this is one value."""
    match value:
        case Numbers(low, high):
            return low == high
        case Choices(values, partial):
            return len(values) == 1 and not partial
        case Row(items):
            return all(map(is_single, items))
    return False


def is_certain(known: Known) -> bool:
    if known.fails is Fails.NEVER:
        return is_single(known.value)
    return known.fails is Fails.ALWAYS


def everything(kind: Type) -> Value:
    """All values of a type."""
    match kind:
        case IntegerType():
            return Numbers(kind.low, kind.high)
        case types.BooleanType():
            return BOTH
        case types.UnitType():
            return UNIT
        case types.LiteralType(str(name)):
            return Choices((name,))
        case types.VariantType(alternatives):
            names = [item.value for item in alternatives if isinstance(item, types.LiteralType)]
            if len(names) == len(alternatives) and all(isinstance(name, str) for name in names):
                return Choices(tuple(names))
    return ANYTHING


def join(values: Iterable[Value]) -> Value:
    """What is known of one of them."""
    return reduce(_join, values)


def _join(a: Value, b: Value) -> Value:
    match a, b:
        case Numbers(), Numbers():
            return Numbers(min(a.low, b.low), max(a.high, b.high))
        case Choices(), Choices():
            return Choices(tuple(dict.fromkeys((*a.values, *b.values))), a.partial or b.partial)
        case Row(), Row() if len(a.items) == len(b.items):
            return Row(tuple(_join(x, y) for x, y in zip(a.items, b.items, strict=True)))
    return ANYTHING


def either(outcomes: Iterable[Known]) -> Known:
    """What is known of the outcome if it is one of these."""
    found = list(outcomes)
    values = [each.value for each in found if each.fails is not Fails.ALWAYS]
    if not values:
        return FAILURE
    fails = {each.fails for each in found}
    return Known(join(values), fails.pop() if len(fails) == 1 else Fails.MAYBE)


def truth(value: Value) -> bool | None:
    """The Boolean it is, None if it may be either."""
    if isinstance(value, Choices) and is_single(value):
        return bool(value.values[0])
    return None


def boolean(value: bool | None) -> Choices:
    return BOTH if value is None else TRUE if value else FALSE


# ---- integers ----------------------------------------------------------------


def fitted(kind: Type, low: int, high: int) -> Known:
    """An exact result in these bounds, which is an error where the type does not hold it."""
    assert isinstance(kind, IntegerType), kind
    if high < kind.low or low > kind.high:
        return FAILURE
    fits = kind.low <= low and high <= kind.high
    return Known(
        Numbers(max(low, kind.low), min(high, kind.high)), Fails.NEVER if fits else Fails.MAYBE
    )


def product(a: Numbers, b: Numbers) -> tuple[int, int]:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(corners), max(corners)


def of_bits(kind: IntegerType, a: Numbers, b: Numbers, join: Callable[[int, int], int]) -> Numbers:
    """`and` or `or` of two integers of a type, by the bits that are known of both."""
    full = (1 << kind.bits) - 1
    (a_zeros, a_ones), (b_zeros, b_ones) = _bits(a, full), _bits(b, full)
    # A bit of the result is 1 for certain if it is so for the least that both may be.
    ones = join(a_ones, b_ones)
    most = join(full & ~a_zeros, full & ~b_zeros)
    sign = 1 << (kind.bits - 1)
    if not kind.signed:
        return Numbers(ones, most)
    if ones & sign:
        return Numbers(ones - full - 1, most - full - 1)
    return Numbers(kind.low, kind.high) if most & sign else Numbers(ones, most)


def _bits(number: Numbers, full: int) -> tuple[int, int]:
    """The bits that are 0 for certain, and those that are 1: those where both bounds agree, from
    the highest on."""
    if number.low < 0 <= number.high:
        return 0, 0
    low, high = number.low & full, number.high & full
    shared = full & ~((1 << (low ^ high).bit_length()) - 1)
    return shared & ~low, shared & low


def compared(operation: str, a: Value, b: Value) -> bool | None:
    """The answer of `eq`, `ne`, `lt`, `le`, `gt` or `ge`, None if it may be either."""
    if operation in ("ne", "ge", "gt"):
        opposite = compared({"ne": "eq", "ge": "lt", "gt": "le"}[operation], a, b)
        return None if opposite is None else not opposite
    match a, b:
        case Numbers(), Numbers():
            return _ordered(operation, a, b)
        case Choices(), Choices() if operation == "eq" and not (a.partial or b.partial):
            if not set(a.values) & set(b.values):
                return False
            return True if len(a.values) == len(b.values) == 1 else None
    return None


def _ordered(operation: str, a: Numbers, b: Numbers) -> bool | None:
    if operation == "eq":
        if a.high < b.low or b.high < a.low:
            return False
        return True if a.low == a.high == b.low == b.high else None
    strict = operation == "lt"
    if a.high < b.low + (not strict):
        return True
    return False if a.low >= b.high + (not strict) else None
