"""Integer literals, and the integer expressions of IDL."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from lark import Token, Tree

LIMIT = 1 << 128  # no intermediate value may reach it


class IntegerError(Exception):
    """An integer expression without a usable value; `token` is the place if known."""

    def __init__(
        self, message: str, token: Token | None, help: str = "", rule: str = "IDL-006"
    ) -> None:
        super().__init__(message)
        self.token = token
        self.help = help
        self.rule = rule


def parse_integer(text: str) -> int:
    """Decimal (leading zeros allowed), 0x or 0o."""
    base = {"x": 16, "o": 8}.get(text[1:2].lower(), 10)
    digits = text[2:] if base != 10 else text
    if len(digits) > 64:
        raise IntegerError(f"the integer has {len(digits)} digits", None, "at most 64 digits")
    return int(digits, base)


def evaluate(tree: Token | Tree[Token] | None, constant: Callable[[Token], int]) -> int:
    """The value of an IDL integer expression, with C's operators and `**`.

    Raises IntegerError: division by zero, negative shift or exponent, a value beyond 128 bits.
    """
    assert isinstance(tree, Tree)
    rule = tree.data
    if rule == "number" or rule == "constant":
        token = tree.children[0]
        assert isinstance(token, Token)
        return parse_integer(token) if rule == "number" else constant(token)
    if rule == "prefix":
        return _prefix(tree, constant)
    if rule == "chain":
        return _chain(tree, constant)
    values = [evaluate(child, constant) for child in tree.children]
    if rule == "power":
        return reduce(lambda exponent, base: _power(base, exponent), reversed(values))
    operation: dict[str, Callable[[int, int], int]] = {
        "bit_or": lambda a, b: a | b,
        "bit_xor": lambda a, b: a ^ b,
        "bit_and": lambda a, b: a & b,
    }
    return reduce(operation[str(rule)], values)


def _prefix(tree: Tree[Token], constant: Callable[[Token], int]) -> int:
    *operators, operand = tree.children
    value = evaluate(operand, constant)
    for operator in reversed(operators):
        assert isinstance(operator, Tree)
        sign = str(operator.children[0])
        value = {"-": -value, "+": value, "~": ~value}[sign]
    return value


def _chain(tree: Tree[Token], constant: Callable[[Token], int]) -> int:
    value = evaluate(tree.children[0], constant)
    for operator, operand in zip(tree.children[1::2], tree.children[2::2], strict=True):
        sign = operator if isinstance(operator, Token) else operator.children[0]
        assert isinstance(sign, Token)
        value = _binary(sign, value, evaluate(operand, constant))
    return value


def _binary(sign: Token, left: int, right: int) -> int:
    if sign in ("/", "%") and right == 0:
        raise IntegerError("division by zero", sign)
    if sign in ("<<", ">>") and not 0 <= right <= 128:
        raise IntegerError(f"shift by {right}", sign, "shift by 0 to 128")
    match str(sign):
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case "<<":
            value = left << right
        case ">>":
            value = left >> right
        case "/":
            value = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        case _:  # the remainder has the sign of the dividend, as in C
            value = abs(left) % abs(right) * (1 if left >= 0 else -1)
    return _bounded(value, sign)


def _power(base: int, exponent: int) -> int:
    if exponent < 0:
        raise IntegerError(f"negative exponent {exponent}", None)
    if abs(base) > 1 and exponent > 128:
        raise IntegerError(f"exponent {exponent} is too large", None, "at most 128")
    return _bounded(base ** (exponent if abs(base) > 1 else min(exponent, 2 + exponent % 2)), None)


def _bounded(value: int, token: Token | None) -> int:
    if abs(value) >= LIMIT:
        raise IntegerError("the value has more than 128 bits", token)
    return value
