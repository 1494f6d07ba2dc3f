"""Values out of a message's bytes, by the layout in a policy map.

A layout is {"size", "arena", "fields": [FIELD]}. A FIELD has "name", "offset" (from the start of
the message, of the struct or of the union), "size" and "type" (`UInt32`, `string<16>`, ...); a
struct has its "fields", a union its "members", an array or sequence its "element", a FIELD at
offset 0. The rules are those of monitor/README.md. Nothing here trusts the message: what does
not fit is shown as "?".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

_INTEGERS = {
    f"{sign}Int{bits}": f"<{code if sign == 'S' else code.upper()}"
    for bits, code in ((8, "b"), (16, "h"), (32, "i"), (64, "q"))
    for sign in "SU"
}
_PAIR = struct.Struct("<II")
_DAMAGED = "?"
_ITEMS_SHOWN = 64
_TEXT_SHOWN = 60
_BYTES_SHOWN = 16


class Bytes(str):
    """Bytes in a decoded message: hexadecimal text, as JSON has them, and `data`."""

    data: bytes

    def __new__(cls, data: bytes) -> Bytes:
        made = super().__new__(cls, data.hex())
        made.data = data
        return made


def decode(layout: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Field name -> int, str, list, dict, `Bytes`; handles as {"handle", "rights"}."""
    arena = data[_number(layout, "size") :]
    try:
        return _fields(layout.get("fields"), data, 0, arena)
    except RecursionError:  # no layout of ours nests that deeply
        return {}


def show(value: Any) -> str:
    """A value for people, on one line."""
    if isinstance(value, Bytes):
        return show_bytes(value.data)
    if isinstance(value, str):
        text = escape(value)
        return f'"{text[:_TEXT_SHOWN]}"' + ("..." if len(text) > _TEXT_SHOWN else "")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(show(item) for item in value) + "]"
    return str(value)


def show_bytes(data: bytes) -> str:
    """Bytes for people: as a text if they are one, else the first of them in hexadecimal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if all(character.isprintable() or character in "\n\r\t" for character in text):
        return show(text)
    return show_hex(data)


def show_hex(data: bytes) -> str:
    """The first bytes in hexadecimal."""
    return data[:_BYTES_SHOWN].hex(" ") + (" ..." if len(data) > _BYTES_SHOWN else "")


def escape(text: str) -> str:
    """A text on one line; control characters are not ours to emit."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _fields(fields: Any, data: bytes, base: int, arena: bytes) -> dict[str, Any]:
    rows = [row for row in fields if isinstance(row, Mapping)] if isinstance(fields, list) else []
    return {
        str(row.get("name")): _value(row, data, base + _number(row, "offset"), arena)
        for row in rows
    }


def _value(kind: Mapping[str, Any], data: bytes, at: int, arena: bytes) -> Any:
    name = str(kind.get("type", ""))
    try:
        if name in _INTEGERS:
            return struct.unpack_from(_INTEGERS[name], data, at)[0]
        if "fields" in kind:
            return _fields(kind["fields"], data, at, arena)
        if "members" in kind:
            return _union(kind["members"], data, at, arena)
        if name.startswith("array"):
            return _items(kind["element"], data, at, _number(kind, "size"), arena)
        first, second = _PAIR.unpack_from(data, at)
    except (struct.error, KeyError, TypeError):
        return _DAMAGED
    if name == "Handle":
        return {"handle": first, "rights": second}
    if first + second > len(arena):
        return _DAMAGED
    if name.startswith("sequence"):
        return _items(kind.get("element", {}), arena, first, second, arena)
    content = arena[first : first + second]
    if name.startswith("string"):
        return content.rstrip(b"\0").decode("utf-8", "backslashreplace")
    return Bytes(content)


def _union(members: list[Mapping[str, Any]], data: bytes, at: int, arena: bytes) -> Any:
    (tag,) = struct.unpack_from("<I", data, at)
    return _fields(members[tag : tag + 1], data, at, arena) or _DAMAGED


def _items(element: Mapping[str, Any], data: bytes, at: int, size: int, arena: bytes) -> Any:
    step = _number(element, "size")
    if step == 0:
        return _DAMAGED
    count = min(size // step, _ITEMS_SHOWN)
    return [_value(element, data, at + n * step, arena) for n in range(count)]


def _number(table: Mapping[str, Any], key: str) -> int:
    value = table.get(key)
    return value if isinstance(value, int) and value >= 0 else 0
