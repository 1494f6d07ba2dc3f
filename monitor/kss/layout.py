"""Message layout: what every method's messages look like in memory.

The rules are those of monitor/README.md (little-endian, natural alignment up to 8). All sizes,
offsets and alignments are in bytes. What makes a message conform, exactly:

1. it is at least `MessageType.size` long, and the rest (the arena in use) is at most
   `MessageType.arena`; `riid` names an endpoint, `mid` a method, `flags` equals the direction;
2. a span has `offset <= used` and `size <= used - offset`, where `used` is the arena in use;
3. bytes: `size <= limit`; string: `size` is 0, or at most `limit + 1` with its last byte zero and
   no other zero; sequence: `offset` is a multiple of the element's alignment (also if empty),
   `size` a multiple of the element's size, with at most `limit` elements, each of which conforms;
4. a union's tag is the index of a member, and that member conforms.

Padding is not looked at, and spans may overlap. RIIDs of security interfaces are counted apart
from those of endpoints, in the same order (component instances depth-first, then the class).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TypeAlias

HEADER_SIZE = 8
SPAN_SIZE = 8
HANDLE_SIZE = 8


class Direction(IntEnum):
    """`flags` of the message header."""

    IN = 0
    OUT = 1
    ERROR = 2


def align_up(value: int, alignment: int) -> int:
    return (value + alignment - 1) // alignment * alignment


@dataclass(frozen=True, slots=True)
class Integer:
    bits: int
    signed: bool

    @property
    def size(self) -> int:
        return self.bits // 8

    @property
    def align(self) -> int:
        return self.bits // 8

    @property
    def arena(self) -> int:
        return 0

    @property
    def handles(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"{'S' if self.signed else 'U'}Int{self.bits}"


@dataclass(frozen=True, slots=True)
class Handle:
    """{u32 handle, u32 rights}"""

    @property
    def size(self) -> int:
        return HANDLE_SIZE

    @property
    def align(self) -> int:
        return 4

    @property
    def arena(self) -> int:
        return 0

    @property
    def handles(self) -> int:
        return 1

    def __str__(self) -> str:
        return "Handle"


@dataclass(frozen=True, slots=True)
class Bytes:
    limit: int

    @property
    def size(self) -> int:
        return SPAN_SIZE

    @property
    def align(self) -> int:
        return 4

    @property
    def arena(self) -> int:
        return self.limit

    @property
    def handles(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"bytes<{self.limit}>"


@dataclass(frozen=True, slots=True)
class String:
    """`limit` bytes at most, the terminating zero not counted."""

    limit: int

    @property
    def size(self) -> int:
        return SPAN_SIZE

    @property
    def align(self) -> int:
        return 4

    @property
    def arena(self) -> int:
        return self.limit + 1

    @property
    def handles(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"string<{self.limit}>"


@dataclass(frozen=True, slots=True)
class Array:
    element: WireType
    count: int

    @property
    def size(self) -> int:
        return self.element.size * self.count

    @property
    def align(self) -> int:
        return self.element.align

    @property
    def arena(self) -> int:
        return self.element.arena * self.count

    @property
    def handles(self) -> int:
        return self.element.handles * self.count

    def __str__(self) -> str:
        return f"array<{self.element}, {self.count}>"


@dataclass(frozen=True, slots=True)
class Sequence:
    element: WireType
    limit: int

    @property
    def size(self) -> int:
        return SPAN_SIZE

    @property
    def align(self) -> int:
        return 4

    @property
    def arena(self) -> int:
        return (self.element.size + self.element.arena) * self.limit

    @property
    def handles(self) -> int:
        return self.element.handles * self.limit

    def __str__(self) -> str:
        return f"sequence<{self.element}, {self.limit}>"


@dataclass(frozen=True)
class Field:
    """A parameter of a message, a field of a struct or a member of a union.

    `offset` counts from the start of the message (header included), of the struct or of the union.
    """

    name: str
    offset: int
    type: WireType

    @property
    def size(self) -> int:
        return self.type.size


@dataclass(frozen=True)
class Struct:
    name: str
    fields: tuple[Field, ...]

    @cached_property
    def size(self) -> int:
        return align_up(max((f.offset + f.size for f in self.fields), default=0), self.align)

    @cached_property
    def align(self) -> int:
        return max((f.type.align for f in self.fields), default=1)

    @cached_property
    def arena(self) -> int:
        return sum(f.type.arena for f in self.fields)

    @cached_property
    def arena_align(self) -> int:
        return max((arena_align(f.type) for f in self.fields), default=1)

    @cached_property
    def handles(self) -> int:
        return sum(f.type.handles for f in self.fields)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Union:
    """u32 tag (index of the member), then every member at the same offset."""

    name: str
    members: tuple[Field, ...]

    @cached_property
    def size(self) -> int:
        return align_up(max((m.offset + m.size for m in self.members), default=4), self.align)

    @cached_property
    def align(self) -> int:
        return max(4, *(m.type.align for m in self.members)) if self.members else 4

    @cached_property
    def arena(self) -> int:
        """Whole units of the strictest alignment: whatever member each union of a message has, the
        data of all can have fixed places in the arena."""
        return align_up(max((m.type.arena for m in self.members), default=0), self.arena_align)

    @cached_property
    def arena_align(self) -> int:
        return max((arena_align(m.type) for m in self.members), default=1)

    @cached_property
    def handles(self) -> int:
        return max((m.type.handles for m in self.members), default=0)

    def __str__(self) -> str:
        return self.name


WireType: TypeAlias = Integer | Handle | Bytes | String | Array | Sequence | Struct | Union


def arena_align(wire: WireType) -> int:
    """The strictest alignment of what values of the type have in the arena."""
    match wire:
        case Struct() | Union():
            return wire.arena_align
        case Array(element, _):
            return arena_align(element)
        case Sequence(element, _):
            return max(element.align, arena_align(element))
    return 1


@dataclass(frozen=True)
class MessageType:
    """One direction of a method. `size` counts header and padding, `handles` is a maximum."""

    direction: Direction
    fields: tuple[Field, ...]

    @cached_property
    def size(self) -> int:
        return align_up(max((f.offset + f.size for f in self.fields), default=HEADER_SIZE), 8)

    @cached_property
    def arena(self) -> int:
        return sum(f.type.arena for f in self.fields)

    @cached_property
    def handles(self) -> int:
        return sum(f.type.handles for f in self.fields)


@dataclass(frozen=True)
class Method:
    """Every method has all three messages; a direction without parameters is the bare header."""

    name: str
    mid: int
    request: MessageType
    response: MessageType
    error: MessageType

    def message(self, direction: Direction) -> MessageType:
        return (self.request, self.response, self.error)[direction]


@dataclass(frozen=True)
class Interface:
    """An IDL package with an interface; known by the package's name."""

    name: str
    methods: tuple[Method, ...]

    def method(self, name: str) -> Method | None:
        return next((method for method in self.methods if method.name == name), None)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of a class, or one of its security interfaces.

    `name` is the qualified name: `instance.sub.endpoint`, or just `endpoint` if the class declares
    it. For a security interface it is the path of the component instance, "" for the class's own.
    `component` is the CDL name of the component that declares it, None for the class.
    """

    name: str
    riid: int
    interface: Interface
    component: str | None


@dataclass(frozen=True)
class EntityClass:
    """A process class; `index` is its number in the policy. `open`: files of it lack, so that it
    may have endpoints that are not known (`kss.stubs`)."""

    name: str
    index: int
    endpoints: tuple[Endpoint, ...]
    security: tuple[Endpoint, ...] = ()
    open: bool = False

    def endpoint(self, name: str) -> Endpoint | None:
        return next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)


def place(names_and_types: list[tuple[str, WireType]], start: int = 0) -> tuple[Field, ...]:
    """Lays fields out one after the other, each at its natural alignment."""
    fields: list[Field] = []
    offset = start
    for name, kind in names_and_types:
        offset = align_up(offset, kind.align)
        fields.append(Field(name, offset, kind))
        offset += kind.size
    return tuple(fields)


def make_struct(name: str, fields: list[tuple[str, WireType]]) -> Struct:
    return Struct(name, place(fields))


def make_union(name: str, members: list[tuple[str, WireType]]) -> Union:
    start = align_up(4, max((kind.align for _, kind in members), default=4))
    return Union(name, tuple(Field(member, start, kind) for member, kind in members))


def make_message(direction: Direction, parameters: list[tuple[str, WireType]]) -> MessageType:
    return MessageType(direction, place(parameters, HEADER_SIZE))
