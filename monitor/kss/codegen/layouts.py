"""Message types as descriptors: what must be checked beyond the size, breadth first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kss.binary import Image, NodeKind, NodeRecord, TypeRecord
from kss.layout import (
    Array,
    Bytes,
    Field,
    Handle,
    Integer,
    MessageType,
    Sequence,
    String,
    Struct,
    Union,
    WireType,
)


@dataclass(frozen=True, slots=True)
class Node:
    """A part whose validity depends on its content; `size` is what its children lie within."""

    kind: NodeKind
    offset: int
    limit: int = 0
    size: int = 0
    alignment: int = 0
    children: tuple[Node, ...] = ()

    @property
    def inverse(self) -> int:
        """ceil(2^32 / size), by which the VM divides; 0 if it need not."""
        return inverse_of(self.size) if self.kind is NodeKind.SEQUENCE else 0


Key: TypeAlias = tuple[int, int, tuple[Node, ...]]


def inverse_of(size: int) -> int:
    return -(-(1 << 32) // size) if size > 1 else 0


def checks(wire: WireType, offset: int, extent: int) -> tuple[Node, ...]:
    """What to check in a value at `offset` of an element (or message) of `extent` bytes."""
    match wire:
        case Integer() | Handle():
            return ()
        case Bytes(limit):
            return (Node(NodeKind.BYTES, offset, limit),)
        case String(limit):
            return (Node(NodeKind.STRING, offset, limit),)
        case Struct(_, fields):
            return _fields(fields, offset, extent)
        case Array(element, count):
            children = checks(element, 0, element.size)
            if not children or not count:
                return ()
            return (Node(NodeKind.ARRAY, offset, count, element.size, children=children),)
        case Sequence(element, limit):
            children = checks(element, 0, element.size)
            size, alignment = element.size, element.align
            return (Node(NodeKind.SEQUENCE, offset, limit, size, alignment, children),)
        case Union(_, members):
            children = tuple(
                Node(NodeKind.MEMBER, 0, size=extent, children=_fields((member,), offset, extent))
                for member in members
            )
            return (Node(NodeKind.UNION, offset, len(members), extent, children=children),)


def _fields(fields: tuple[Field, ...], offset: int, extent: int) -> tuple[Node, ...]:
    return tuple(
        node for field in fields for node in checks(field.type, offset + field.offset, extent)
    )


class Layouts:
    """Numbers the message types of a policy; equal ones are one."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        self._seen: dict[int, tuple[MessageType, int]] = {}  # by id, which the message keeps valid

    def number(self, message: MessageType) -> int:
        if id(message) not in self._seen:
            self._seen[id(message)] = (message, self._number(message))
        return self._seen[id(message)][1]

    def _number(self, message: MessageType) -> int:
        key = (message.size, message.arena, _fields(message.fields, 0, message.size))
        return self._numbers.setdefault(key, len(self._numbers))

    def emit(self, image: Image) -> None:
        """Every owner's children follow those of the owner before."""
        queue: list[tuple[Node, int]] = []

        def place(children: tuple[Node, ...], depth: int) -> tuple[int, int]:
            first = len(queue)
            queue.extend((child, depth) for child in children)
            return (first, len(children))

        for size, arena, children in self._numbers:
            image.types.append(TypeRecord(size, arena, *place(children, 0)))
        for node, depth in queue:  # grows on the way
            below = depth + (node.kind is not NodeKind.UNION)
            first, count = place(node.children, below)
            head = (node.kind, depth, node.alignment, node.offset, node.limit, node.size)
            image.nodes.append(NodeRecord(*head, node.inverse, first, count))
