"""Types of the policy language (PSL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kss import layout


@dataclass(frozen=True, slots=True)
class IntegerType:
    """`bits` is 8 to 64; within the checker 0 marks a literal that has adopted no type yet."""

    bits: int
    signed: bool

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    def holds(self, value: int) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{'S' if self.signed else 'U'}Int{self.bits}" if self.bits else "Integer"


@dataclass(frozen=True, slots=True)
class BooleanType:
    def __str__(self) -> str:
        return "Boolean"


@dataclass(frozen=True, slots=True)
class TextType:
    def __str__(self) -> str:
        return "Text"


@dataclass(frozen=True, slots=True)
class PatternType:
    """A regular expression: a constant, compiled with the policy."""

    def __str__(self) -> str:
        return "a pattern"


@dataclass(frozen=True, slots=True)
class UnitType:
    def __str__(self) -> str:
        return "()"


@dataclass(frozen=True, slots=True)
class LiteralType:
    """A single text or integer, such as `"open"` or `0xFF`."""

    value: str | int

    def __str__(self) -> str:
        return f'"{self.value}"' if isinstance(self.value, str) else str(self.value)


@dataclass(frozen=True, slots=True)
class VariantType:
    alternatives: tuple[Type, ...]

    def __str__(self) -> str:
        return " | ".join(str(item) for item in self.alternatives)


@dataclass(frozen=True, slots=True)
class RecordType:
    """A dictionary with fixed fields. `union` marks an IDL union: exactly one field is present."""

    fields: tuple[tuple[str, Type], ...]
    union: bool = False

    def __str__(self) -> str:
        return "{ " + ", ".join(f"{name} : {kind}" for name, kind in self.fields) + " }"


@dataclass(frozen=True, slots=True)
class TupleType:
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return "[" + ", ".join(str(item) for item in self.items) + "]"


@dataclass(frozen=True, slots=True)
class LevelType:
    """A level of a Mic object: a degree (lowest first) with a set of categories."""

    degrees: tuple[str, ...]
    categories: tuple[str, ...]

    def __str__(self) -> str:
        return "Level"


@dataclass(frozen=True, slots=True)
class ListType:
    element: Type

    def __str__(self) -> str:
        return f"List<{self.element}>"


@dataclass(frozen=True, slots=True)
class SetType:
    element: Type

    def __str__(self) -> str:
        return f"Set<{self.element}>"


@dataclass(frozen=True, slots=True)
class MapType:
    key: Type
    value: Type

    def __str__(self) -> str:
        return f"Map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class ArrayType:
    element: Type
    count: int

    def __str__(self) -> str:
        return f"Array<{self.element}, {self.count}>"


@dataclass(frozen=True, slots=True)
class SequenceType:
    element: Type
    limit: int

    def __str__(self) -> str:
        return f"Sequence<{self.element}, {self.limit}>"


Type: TypeAlias = (
    IntegerType
    | BooleanType
    | TextType
    | PatternType
    | UnitType
    | LiteralType
    | VariantType
    | RecordType
    | TupleType
    | LevelType
    | ListType
    | SetType
    | MapType
    | ArrayType
    | SequenceType
)

BOOLEAN = BooleanType()
TEXT = TextType()
PATTERN = PatternType()
UNIT = UnitType()
UINT8, UINT16, UINT32, UINT64 = (IntegerType(bits, False) for bits in (8, 16, 32, 64))
SINT8, SINT16, SINT32, SINT64 = (IntegerType(bits, True) for bits in (8, 16, 32, 64))
SID = UINT32
HANDLE_DESC = RecordType((("handle", SID), ("rights", UINT32)))


def of_wire(wire: layout.WireType) -> Type:
    """The PSL type of a value of an IDL type."""
    match wire:
        case layout.Integer(bits, signed):
            return IntegerType(bits, signed)
        case layout.Handle():
            return HANDLE_DESC
        case layout.String():
            return TEXT
        case layout.Bytes():
            return ListType(UINT8)
        case layout.Array(element, count):
            return ArrayType(of_wire(element), count)
        case layout.Sequence(element, limit):
            return SequenceType(of_wire(element), limit)
        case layout.Struct():
            return RecordType(tuple((f.name, of_wire(f.type)) for f in wire.fields))
        case layout.Union():
            return RecordType(tuple((m.name, of_wire(m.type)) for m in wire.members), union=True)
