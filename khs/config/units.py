"""Quantities as they stand in a document: a number and its unit in one string.

Each kind is a class with one integer in its base unit, `parse(text)`, which raises `UnitError`
with what would be right, `str()`, the shortest text that parses to the same value, and
`pattern`, a regular expression for the JSON Schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

_NUMBER = r"[0-9]{1,18}"


class UnitError(ValueError):
    """The text is no such quantity; `help` says what would be right."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A number of base units."""

    value: int

    noun: ClassVar[str]
    rule: ClassVar[str]
    pattern: ClassVar[str]
    example: ClassVar[str]
    units: ClassVar[dict[str, int]]  # ascending
    zero: ClassVar[str]  # the unit that 0 is printed in
    limit: ClassVar[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The quantity that `text` names; UnitError if it names none."""
        match = re.fullmatch(rf"({_NUMBER})(\.{_NUMBER})?\s*([^\W\d_]*)", text, re.ASCII)
        if match is None:
            raise UnitError(f'"{text}" is not a {cls.noun}', f'write it as in "{cls.example}"')
        number, fraction, unit = match[1], match[2] or "", match[3]
        if unit not in cls.units:
            help = cls._unit_help(number + fraction, unit)
            raise UnitError(_bad_unit(cls.noun, text, unit), help)
        value = Fraction(number + fraction) * cls.units[unit]
        compact = number + fraction + unit
        if not re.fullmatch(cls.pattern, compact, re.ASCII):
            smaller = f'"{int(value)}{next(iter(cls.units))}"'
            raise UnitError(f'"{text}" is not a whole number', f"use a smaller unit: {smaller}")
        if compact != text:
            raise UnitError(f'"{text}" is not a {cls.noun}', f'write "{compact}"')
        if value.denominator != 1:
            smallest = next(iter(cls.units))
            raise UnitError(
                f'"{text}" is not a whole number of {smallest}', f'e.g. "{int(value)}{smallest}"'
            )
        if value > cls.limit:
            raise UnitError(f'"{text}" is too large', f'at most "{cls(cls.limit)}"')
        return cls(int(value))

    @classmethod
    def _unit_help(cls, number: str, unit: str) -> str:
        known = ", ".join(cls.units)
        for name in reversed(cls.units):
            if unit and name.lower().replace("i", "") == unit.lower().replace("i", ""):
                return f'write "{number}{name}"; units are {known}'
        return f'units are {known}, as in "{cls.example}"'

    def __str__(self) -> str:
        for unit, factor in reversed(self.units.items()):
            if self.value and self.value % factor == 0:
                return f"{self.value // factor}{unit}"
        return f"{self.value}{self.zero}"


def _bad_unit(noun: str, text: str, unit: str) -> str:
    if not unit:
        return f'"{text}" is a {noun} without a unit'
    return f'"{text}" has no known unit of a {noun}'


class Duration(Quantity):
    """A time; `value` in nanoseconds."""

    __slots__ = ()
    noun = "time"
    rule = "UNIT-001"
    pattern = rf"{_NUMBER}(\.{_NUMBER})?(ns|us|ms|s)"
    example = "20ms"
    zero = "ms"
    units: ClassVar[dict[str, int]] = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}
    limit = 7_000_000 * 1_000_000_000  # less than 2^56 ticks of the fastest clock

    @property
    def ns(self) -> int:
        """The time in nanoseconds."""
        return self.value


class Size(Quantity):
    """An amount of memory; `value` in bytes."""

    __slots__ = ()
    noun = "size"
    rule = "UNIT-002"
    pattern = rf"{_NUMBER}(B|KiB|MiB|GiB)"
    example = "64KiB"
    zero = "B"
    units: ClassVar[dict[str, int]] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    limit = 1 << 50

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.value


class Frequency(Quantity):
    """A clock; `value` in hertz."""

    __slots__ = ()
    noun = "frequency"
    rule = "UNIT-004"
    pattern = rf"{_NUMBER}(\.{_NUMBER})?(Hz|kHz|MHz|GHz)"
    example = "125MHz"
    zero = "Hz"
    units: ClassVar[dict[str, int]] = {
        "Hz": 1,
        "kHz": 1000,
        "MHz": 1_000_000,
        "GHz": 1_000_000_000,
    }
    limit = 10_000_000_000


class Address(Quantity):
    """An address; a text in hexadecimal, since it may exceed TOML's integers."""

    __slots__ = ()
    noun = "address"
    rule = "UNIT-003"
    pattern = r"0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*"
    example = "0x5000_0000"
    units: ClassVar[dict[str, int]] = {}
    limit = (1 << 64) - 1

    @classmethod
    def parse(cls, text: str) -> Self:
        if len(text) > 40 or not re.fullmatch(cls.pattern, text, re.ASCII):
            raise UnitError(
                f'"{text[:40]}" is not an address', f'write hexadecimal, as in "{cls.example}"'
            )
        value = int(text.replace("_", ""), 16)
        if value > cls.limit:
            raise UnitError(f'"{text}" is too large', "an address has at most 64 bits")
        return cls(value)

    def __str__(self) -> str:
        return f"0x{self.value:x}"


def most_frames(longest: int) -> int:
    """How many major frames a run may have, the longest of so many ticks: it ends before the
    kernel's clock of 64 bits does, with room for what is due later."""
    return (1 << 62) // longest
