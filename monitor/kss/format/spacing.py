"""Which tokens have a space between them."""

from __future__ import annotations

from kss.format.roles import Roles
from kss.grammar.tokens import NAME

_NOTHING_BEFORE = frozenset((",", ";", ")", "]", ".["))
_NOTHING_BEHIND = frozenset(("(", "[", ".[", ".", "!", "~"))


def spaced(index: int, roles: Roles) -> bool:
    """Whether a space stands before a token that is not the first on its line."""
    kinds = roles.tokens.kinds
    left, right = kinds[index - 1], kinds[index]
    if right in _NOTHING_BEFORE or left in _NOTHING_BEHIND:
        return False
    if {index, index - 1} & roles.joined or index in roles.after:
        return False
    if index - 1 in roles.arrows or index - 1 in roles.signs:
        return False
    if right == ".":  # behind a name, it would become a part of it
        return left == NAME
    if right == "(" and index in roles.methods:
        return False
    if (left, right) == ("{", "}"):
        return False
    return not _generic(index, roles)


def _generic(index: int, roles: Roles) -> bool:
    """Whether the token touches what is before it as in `array<T, 2>`."""
    kinds, pairs = roles.tokens.kinds, roles.pairs
    if kinds[index] == "<":
        return index in pairs
    if kinds[index] == ">":
        return index in roles.closers
    return kinds[index - 1] == "<" and index - 1 in pairs
