"""Integer literals, and the integer expressions of IDL."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce

from kss import syntax
from kss.syntax import Span, Word

LIMIT = 1 << 128  # no intermediate value may reach it


class IntegerError(Exception):
    """An integer expression without a usable value; `span` is the place if known."""

    def __init__(
        self, message: str, span: Span | None, help: str = "", rule: str = "IDL-006"
    ) -> None:
        super().__init__(message)
        self.span = span
        self.help = help
        self.rule = rule


def parse_integer(text: str) -> int:
    """Decimal (leading zeros allowed), 0x or 0o."""
    base = {"x": 16, "o": 8}.get(text[1:2].lower(), 10)
    digits = text[2:] if base != 10 else text
    if len(digits) > 64:
        raise IntegerError(f"the integer has {len(digits)} digits", None, "at most 64 digits")
    return int(digits, base)


def evaluate(node: syntax.Expression, constant: Callable[[Word], int]) -> int:
    """The value of an IDL integer expression, with C's operators and `**`.

    Raises IntegerError: division by zero, negative shift or exponent, a value beyond 128 bits.
    """
    match node:
        case syntax.Literal(value):
            assert isinstance(value, int)
            return value
        case syntax.Name(word):
            return constant(word)
        case syntax.Prefix(operators, operand):
            return reduce(_signed, reversed(operators), evaluate(operand, constant))
        case syntax.Chain(operators, operands, span):
            values = [evaluate(operand, constant) for operand in operands]
            if operators[0] == "**":
                power = partial(_power, span)
                return reduce(lambda exponent, base: power(base, exponent), reversed(values))
            total = values[0]
            for sign, value in zip(operators, values[1:], strict=True):
                total = _binary(sign, total, value, span)
            return total
    raise AssertionError(node)


def _signed(value: int, sign: str) -> int:
    return {"-": -value, "+": value, "~": ~value}[sign]


def _binary(sign: str, left: int, right: int, span: Span) -> int:
    if sign in ("/", "%") and right == 0:
        raise IntegerError("division by zero", span, "divide by something else")
    if sign in ("<<", ">>") and not 0 <= right <= 128:
        raise IntegerError(f"shift by {right}", span, "shift by 0 to 128")
    match sign:
        case "/":
            value = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        case "%":  # the remainder has the sign of the dividend, as in C
            value = abs(left) % abs(right) * (1 if left >= 0 else -1)
        case _:
            value = _PLAIN[sign](left, right)
    return _bounded(value, span)


_PLAIN: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "^": operator.xor,
    "|": operator.or_,
}


def _power(span: Span, base: int, exponent: int) -> int:
    if exponent < 0:
        raise IntegerError(f"negative exponent {exponent}", span, "from 0 to 128")
    if abs(base) > 1 and exponent > 128:
        raise IntegerError(f"exponent {exponent} is too large", span, "at most 128")
    return _bounded(base ** (exponent if abs(base) > 1 else min(exponent, 2 + exponent % 2)), span)


def _bounded(value: int, span: Span) -> int:
    if abs(value) >= LIMIT:
        raise IntegerError("the value has more than 128 bits", span, "the widest type has 64")
    return value
