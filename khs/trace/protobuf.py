"""Protocol buffers, as far as writing a picture needs them: varints, fixed 64 bits, and what has a
length. A library would bring its runtime and a generated schema of 2 MB for these few lines."""

from __future__ import annotations

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_MASK = (1 << 64) - 1


def varint(value: int) -> bytes:
    """An integer of 64 bits; a negative one as its two's complement."""
    return _SMALL[value] if 0 <= value < len(_SMALL) else _varint(value & _MASK)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


#: Most of them are keys and lengths.
_SMALL = [_varint(value) for value in range(1024)]


def number(field: int, value: int) -> bytes:
    """A field of type int32, int64, uint32, uint64, bool or of an enumeration."""
    return varint(field << 3 | _VARINT) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A field of type fixed64."""
    return varint(field << 3 | _FIXED64) + (value & _MASK).to_bytes(8, "little")


def message(field: int, *parts: bytes) -> bytes:
    """A field that is a message with these fields, or bytes."""
    content = b"".join(parts)
    return varint(field << 3 | _LENGTH) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    """A field of type string; what is no character (half a surrogate pair) is written as `\\ud800`,
    since readers take nothing but UTF-8."""
    return message(field, value.encode("utf-8", "backslashreplace"))
