"""Integer literals without a type of their own, and the common type of two integers.

A literal (or an expression of literals only, which is computed at once and exactly) is free until
it meets a typed integer, whose type it adopts. Where it meets none it settles: SInt64, or UInt64 if
only that holds it.
"""

from __future__ import annotations

from kss import tree, types
from kss.tree import Apply, Constant, ListValue
from kss.types import IntegerType, Type

FREE = IntegerType(0, True)
# `~` was applied: a negative value adopts an unsigned type by its bit pattern.
COMPLEMENT = IntegerType(0, False)


class MismatchError(Exception):
    """Why types do not fit; the caller knows the place."""

    def __init__(self, rule: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.help = help


def is_free(kind: Type) -> bool:
    return isinstance(kind, IntegerType) and kind.bits == 0


def literal(value: int) -> Constant:
    return Constant(value, FREE)


def make_list(items: list[tree.Expression], kind: Type) -> tree.Expression:
    """A constant if all items are."""
    constants = [item.value for item in items if isinstance(item, Constant)]
    if len(constants) == len(items) and kind != types.ListType(FREE):
        return Constant(tuple(constants), kind)
    return ListValue(tuple(items), kind)


def adopt(value: tree.Expression, kind: IntegerType) -> tree.Expression:
    """The free value with a type. Raises MismatchError if the type does not hold it."""
    if isinstance(value, Apply):  # bool.cond with two free branches
        test, then, otherwise = value.operands
        return Apply(value.operation, (test, adopt(then, kind), adopt(otherwise, kind)), kind)
    assert isinstance(value, Constant) and isinstance(value.value, int)
    number = value.value
    if value.type == COMPLEMENT and not kind.signed and number < 0:
        number += 1 << kind.bits
    if not kind.holds(number):
        help = f"{kind} holds {kind.low} to {kind.high}"
        raise MismatchError("PSL-031", f"{number} does not fit {kind}", help)
    return Constant(number, kind)


def settle(value: tree.Expression) -> tree.Expression:
    """Gives free integers, alone or in a list, a type of their own."""
    if isinstance(value, ListValue) and value.type == types.ListType(FREE):
        settled = [settle(item) for item in value.items]
        wide = _wide_enough(settled)
        return make_list([adopt(item, wide) for item in value.items], types.ListType(wide))
    if not is_free(value.type):
        return value
    if isinstance(value, Constant) and isinstance(value.value, int):
        fits = types.SINT64.holds(value.value)
        return adopt(value, types.SINT64 if fits else types.UINT64)
    return adopt(value, types.SINT64)


def settle_both(
    left: tree.Expression, right: tree.Expression
) -> tuple[tree.Expression, tree.Expression]:
    """Two free integers with one type."""
    wide = _wide_enough([settle(left), settle(right)])
    return adopt(left, wide), adopt(right, wide)


def _wide_enough(settled: list[tree.Expression]) -> IntegerType:
    return types.UINT64 if any(i.type == types.UINT64 for i in settled) else types.SINT64


def common(
    left: tree.Expression, right: tree.Expression
) -> tuple[tree.Expression, tree.Expression, IntegerType]:
    """Two integers brought to their common type; two free ones stay free.

    Raises MismatchError if they differ in signedness or a literal does not fit.
    """
    a, b = left.type, right.type
    assert isinstance(a, IntegerType) and isinstance(b, IntegerType)
    if is_free(a) and is_free(b):
        return left, right, FREE
    if is_free(a):
        return adopt(left, b), right, b
    if is_free(b):
        return left, adopt(right, a), a
    kind = common_type(a, b)
    return widen(left, kind), widen(right, kind), kind


def common_type(a: IntegerType, b: IntegerType) -> IntegerType:
    if a.signed != b.signed:
        help = "cast with math.sint64 (...), math.sint32 (...) or math.sint16 (...)"
        raise MismatchError("PSL-032", f"{a} and {b} differ in signedness", help)
    return a if a.bits >= b.bits else b


def fit(value: tree.Expression, expected: Type) -> tree.Expression:
    """The value as one of the expected type: adopted, widened, or as it is."""
    if isinstance(expected, IntegerType) and isinstance(value.type, IntegerType):
        if is_free(value.type):
            return adopt(value, expected)
        if common_type(value.type, expected) == expected:
            return widen(value, expected)
    settled = settle(value)
    if settled.type != expected:
        help = _advice(value.type, expected)
        raise MismatchError("PSL-030", f"expected {expected}, got {value.type}", help)
    return settled


def _advice(given: Type, expected: Type) -> str:
    if (given, expected) == (types.ListType(types.UINT8), types.TEXT):
        return "texts are parameters of type string<N>, not bytes<N>"
    if expected == types.BOOLEAN and isinstance(given, IntegerType):
        return "compare it: ==, !=, <, <=, >, >="
    if isinstance(given, IntegerType) and isinstance(expected, IntegerType):
        return f"{expected} takes no wider values: they might not fit"
    return f"give a value of type {expected}"


def widen(value: tree.Expression, kind: IntegerType) -> tree.Expression:
    return value if value.type == kind else Apply("math.widen", (value,), kind)


def compute(operator: str, left: Constant, right: Constant) -> Constant:
    """An operator on two literals, exactly."""
    a, b = left.value, right.value
    assert isinstance(a, int) and isinstance(b, int)
    value = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b}[operator]
    if abs(value) >> 256:
        raise MismatchError("PSL-031", "the value has more than 256 bits", "at most 64")
    return Constant(value, COMPLEMENT if COMPLEMENT in (left.type, right.type) else FREE)


def complement(value: Constant) -> Constant:
    assert isinstance(value.value, int)
    return Constant(~value.value, COMPLEMENT)
