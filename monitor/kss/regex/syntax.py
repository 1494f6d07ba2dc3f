"""What a pattern says. It is about the whole text, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

ALL_BYTES = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class Set:
    """One byte: bit b of `members` says whether byte b is one of them."""

    members: int


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One after the other; of nothing, the empty text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Any of these."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Intersection:
    """All of these."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Complement:
    """Exactly the texts that `part` does not match."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Repetition:
    """`part` from `low` to `high` times; without end if `high` is None."""

    part: Expression
    low: int
    high: int | None


Expression: TypeAlias = Set | Concatenation | Union | Intersection | Complement | Repetition


def literal(text: bytes) -> Expression:
    """Exactly this text."""
    return Concatenation(tuple(Set(1 << byte) for byte in text))


@dataclass(frozen=True, slots=True)
class Remark:
    """A correct pattern that may not mean what its author thinks; `index` is into its text."""

    index: int
    message: str
    help: str


@dataclass(frozen=True, slots=True)
class Pattern:
    expression: Expression
    remarks: tuple[Remark, ...]


class PatternError(Exception):
    """A pattern has the wrong form; `index` is that of the character at fault."""

    def __init__(self, index: int, message: str, help: str = "") -> None:
        super().__init__(message)
        self.index = index
        self.help = help
