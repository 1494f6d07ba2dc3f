"""Messages as bytes: canonical encoding, decoding, and the reference check of conformance.

Values: integers as int; strings as str; bytes as bytes (or hex text); arrays and sequences as
lists; structs as dictionaries; a union as a dictionary with its one member; handles as
`{"handle": sid, "rights": mask}`. What is missing is zero, empty, or a union's first member.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kss import layout
from kss.errors import MessageError
from kss.layout import HEADER_SIZE, Field, MessageType, WireType
from kss.strict import shown

Value: TypeAlias = Any
_FORMATS = {8: "bB", 16: "hH", 32: "iI", 64: "qQ"}
_HEADER = struct.Struct("<IHH")
_PAIR = struct.Struct("<II")
_UINT32 = layout.Integer(32, False)
_HANDLE_FIELDS = layout.place([("handle", _UINT32), ("rights", _UINT32)])


def _format(wire: layout.Integer) -> str:
    return "<" + _FORMATS[wire.bits][0 if wire.signed else 1]


# ---- encoding --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """Data of one span, and where the descriptor is that will point at it."""

    owner: bytearray
    at: int
    align: int
    data: bytearray


def encode(
    message: MessageType,
    values: Mapping[str, Value],
    *,
    riid: int = 0,
    mid: int = 0,
    limits: bool = True,
) -> bytes:
    """The canonical bytes of a message: blocks of the arena in descending alignment, no gaps.

    Raises MessageError, which names the parameter, if a value does not fit. Without `limits` bytes,
    strings and sequences may be longer than their types allow: the message does not conform then.
    """
    constant = bytearray(message.size)
    _HEADER.pack_into(constant, 0, riid, mid, message.direction)
    encoder = _Encoder(limits)
    encoder.fields(message.fields, values, constant, 0, "")
    arena = encoder.arena()  # completes the descriptors in the constant part, too
    return bytes(constant) + arena


class _Encoder:
    """Writes values into the constant part (or an element in the arena) and gathers the blocks."""

    def __init__(self, limits: bool) -> None:
        self.blocks: list[_Block] = []
        self.limits = limits

    def arena(self) -> bytes:
        self.blocks.sort(key=lambda block: -block.align)
        end = 0
        for block in self.blocks:
            _PAIR.pack_into(block.owner, block.at, end, len(block.data))
            end += len(block.data)
        # only now are the descriptors within the blocks themselves complete
        return b"".join(bytes(block.data) for block in self.blocks)

    def fields(
        self,
        fields: Sequence[Field],
        values: Mapping[str, Value],
        into: bytearray,
        at: int,
        path: str,
    ) -> None:
        if not isinstance(values, Mapping):
            place = path.rstrip(".") or "message"
            raise MessageError(f"{place}: expected an object, got {shown(values)}")
        known = {field.name for field in fields}
        for name in values:
            if name not in known:
                expected = ", ".join(sorted(known)) or "none"
                raise MessageError(f"{path}{name}: no such field; the fields are: {expected}")
        for field in fields:
            if field.name in values:
                place = f"{path}{field.name}"
                self.value(field.type, values[field.name], into, at + field.offset, place)

    def value(self, wire: WireType, value: Value, into: bytearray, at: int, path: str) -> None:
        match wire:
            case layout.Integer():
                _pack(wire, value, into, at, path)
            case layout.Handle():
                self.fields(_HANDLE_FIELDS, value, into, at, f"{path}.")
            case layout.Bytes() | layout.String():
                if data := _text(wire, value, path, self.limits):
                    self.blocks.append(_Block(into, at, 1, bytearray(data)))
            case layout.Array(element, count):
                self.items(element, _items(value, path, count), into, at, path)
            case layout.Sequence(element, limit):
                items = _items(value, path, limit if self.limits else None)
                if items:
                    block = _Block(into, at, element.align, bytearray(len(items) * element.size))
                    self.blocks.append(block)
                    self.items(element, items, block.data, 0, path)
            case layout.Struct():
                self.fields(wire.fields, value, into, at, f"{path}.")
            case layout.Union():
                self.union(wire, value, into, at, path)

    def items(
        self, element: WireType, items: Sequence[Value], into: bytearray, at: int, path: str
    ) -> None:
        for index, item in enumerate(items):
            self.value(element, item, into, at + index * element.size, f"{path}[{index}]")

    def union(self, wire: layout.Union, value: Value, into: bytearray, at: int, path: str) -> None:
        if not isinstance(value, Mapping) or len(value) > 1:
            names = ", ".join(member.name for member in wire.members)
            raise MessageError(f"{path}: expected an object with one of: {names}")
        for tag, member in enumerate(wire.members):
            if member.name in value:
                struct.pack_into("<I", into, at, tag)
        self.fields(wire.members, value, into, at, f"{path}.")


def _pack(wire: layout.Integer, value: Value, into: bytearray, at: int, path: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MessageError(f"{path}: expected an integer, got {shown(value)}")
    try:
        struct.pack_into(_format(wire), into, at, value)
    except struct.error:
        raise MessageError(f"{path}: {shown(value)} does not fit {wire}") from None


def _text(wire: layout.Bytes | layout.String, value: Value, path: str, limits: bool) -> bytes:
    """What goes into the arena: a string with its terminating zero, nothing if empty."""
    if isinstance(wire, layout.String):
        if not isinstance(value, str):
            raise MessageError(f"{path}: expected text, got {shown(value)}")
        try:
            data = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            what = f"U+{ord(value[error.start]):04X}, half of a surrogate pair"
            raise MessageError(f"{path}: {what}, is no character of a text") from None
        if b"\0" in data:
            raise MessageError(f"{path}: a string holds no zero byte")
    else:
        try:
            data = bytes.fromhex(value) if isinstance(value, str) else bytes(memoryview(value))
        except (TypeError, ValueError):
            message = f"{path}: expected bytes or an even number of hex digits, got {shown(value)}"
            raise MessageError(message) from None
    if limits and len(data) > wire.limit:
        raise MessageError(f"{path}: {len(data)} bytes do not fit {wire}")
    return data + b"\0" if data and isinstance(wire, layout.String) else data


def _items(value: Value, path: str, limit: int | None) -> Sequence[Value]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise MessageError(f"{path}: expected a list, got {shown(value)}")
    if limit is not None and len(value) > limit:
        raise MessageError(f"{path}: {len(value)} elements, at most {limit}")
    return value


# ---- conformance -----------------------------------------------------------


def defect(message: MessageType, data: bytes) -> str | None:
    """Why the bytes do not conform to the type, None if they do (see `kss.layout` for the rules).

    Looks at sizes, spans and tags, not at the header.
    """
    if len(data) < message.size:
        return f"{len(data)} bytes, the constant part has {message.size}"
    arena = data[message.size :]
    if found := _first_defect(message.fields, data, 0, arena, ""):
        return found
    if len(arena) > message.arena:
        return f"{len(arena)} bytes of arena, at most {message.arena}"
    return None


def _first_defect(
    fields: Sequence[Field], data: bytes, at: int, arena: bytes, path: str
) -> str | None:
    for field in fields:
        if found := _defect(field.type, data, at + field.offset, arena, f"{path}{field.name}"):
            return found
    return None


def _defect(wire: WireType, data: bytes, at: int, arena: bytes, path: str) -> str | None:
    match wire:
        case layout.Integer() | layout.Handle():
            return None
        case layout.Struct():
            return _first_defect(wire.fields, data, at, arena, f"{path}.")
        case layout.Union():
            (tag,) = struct.unpack_from("<I", data, at)
            if tag >= len(wire.members):
                return f"{path}: tag {tag} of {len(wire.members)} members"
            return _first_defect(wire.members[tag : tag + 1], data, at, arena, f"{path}.")
        case layout.Array(element, count):
            return _element_defect(element, count, data, at, arena, path)
    offset, size = _PAIR.unpack_from(data, at)
    if offset > len(arena) or size > len(arena) - offset:
        return f"{path}: {size} bytes at {offset} leave the arena of {len(arena)}"
    match wire:
        case layout.Bytes(limit):
            return f"{path}: {size} bytes, at most {limit}" if size > limit else None
        case layout.String(limit):
            return _string_defect(arena[offset : offset + size], limit, path)
        case layout.Sequence(element, limit):
            if offset % element.align:
                return f"{path}: offset {offset} is not a multiple of {element.align}"
            if size % element.size or size // element.size > limit:
                return f"{path}: {size} bytes are not 0 to {limit} elements of {element.size}"
            return _element_defect(element, size // element.size, arena, offset, arena, path)


def _string_defect(text: bytes, limit: int, path: str) -> str | None:
    if len(text) > limit + 1:
        return f"{path}: a text of {len(text) - 1} bytes, at most {limit}"
    if text and text.find(b"\0") != len(text) - 1:
        return f"{path}: the text does not end at its only zero"
    return None


def _element_defect(
    element: WireType, count: int, data: bytes, at: int, arena: bytes, path: str
) -> str | None:
    if isinstance(element, (layout.Integer, layout.Handle)):
        return None
    for index in range(count):
        place = f"{path}[{index}]"
        if found := _defect(element, data, at + index * element.size, arena, place):
            return found
    return None


# ---- decoding --------------------------------------------------------------


def decode(message: MessageType, data: bytes) -> dict[str, Value]:
    """The parameters of a message. Raises MessageError if it does not conform."""
    if found := defect(message, data):
        raise MessageError(found)
    arena = data[message.size :]
    return {f.name: read(f.type, data, f.offset, arena) for f in message.fields}


def read(wire: WireType, data: bytes, at: int, arena: bytes) -> Value:
    """The value at `at` of a message that conforms."""
    match wire:
        case layout.Integer():
            return struct.unpack_from(_format(wire), data, at)[0]
        case layout.Handle():
            handle, rights = _PAIR.unpack_from(data, at)
            return {"handle": handle, "rights": rights}
        case layout.Struct():
            return {f.name: read(f.type, data, at + f.offset, arena) for f in wire.fields}
        case layout.Union():
            member = wire.members[struct.unpack_from("<I", data, at)[0]]
            return {member.name: read(member.type, data, at + member.offset, arena)}
        case layout.Array(element, count):
            return [read(element, data, at + i * element.size, arena) for i in range(count)]
    offset, size = _PAIR.unpack_from(data, at)
    match wire:
        case layout.Bytes():
            return arena[offset : offset + size]
        case layout.String():
            return arena[offset : offset + size].rstrip(b"\0").decode("utf-8", "surrogateescape")
        case layout.Sequence(element, _):
            steps = range(offset, offset + size, element.size)
            return [read(element, arena, start, arena) for start in steps]


def header(data: bytes) -> tuple[int, int, int]:
    """(riid, mid, flags). Raises MessageError if the bytes are too few."""
    if len(data) < HEADER_SIZE:
        raise MessageError(f"{len(data)} bytes, a header has {HEADER_SIZE}")
    riid, mid, flags = _HEADER.unpack_from(data)
    return riid, mid, flags


def to_json(value: Value) -> Value:
    """A decoded value with bytes as hex text, as the command line shows it."""
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {name: to_json(item) for name, item in value.items()}
        case list():
            return [to_json(item) for item in value]
    return value
