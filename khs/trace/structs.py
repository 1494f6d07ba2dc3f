"""Structs that the kernel wrote for a guest, as they stand behind the message in the data of a
hypercall's record: `info.age_ns` of khs_port_read, say."""

from __future__ import annotations

from khs.abi.hypercalls import HYPERCALLS, STRUCTS
from khs.abi.table import Struct
from khs.trace.message import Bytes

_BY_NAME = {struct.name: struct for struct in STRUCTS}
#: The struct that a hypercall writes, by the hypercall's number.
WRITTEN = {
    row.number: _BY_NAME[argument.of]
    for row in HYPERCALLS
    for argument in row.arguments
    if argument.kind == "struct"
}
_OK = 0


def split(number: int, code: int, data: bytes) -> tuple[bytes, bytes]:
    """The message and the struct in the data of a hypercall that ended with `code`; ValueError if
    there is too little of it."""
    struct = WRITTEN.get(number)
    if struct is None or code != _OK:
        return data, b""
    if len(data) < struct.size:
        raise ValueError(f"no {struct.name} in {len(data)} bytes")
    at = len(data) - struct.size
    return data[:at], data[at:]


def fields(number: int | None, info: bytes) -> dict[str, int | Bytes]:
    """Its fields by name; bytes without the zeros behind them."""
    struct = None if number is None else WRITTEN.get(number)
    return _values(struct, info) if struct and len(info) == struct.size else {}


def _values(struct: Struct, info: bytes) -> dict[str, int | Bytes]:
    values: dict[str, int | Bytes] = {}
    for field in struct.fields:
        content = info[field.offset : field.offset + field.size]
        plain = field.type in ("u32", "u64")
        values[field.name] = (
            int.from_bytes(content, "little") if plain else Bytes(content.rstrip(b"\0"))
        )
    return values
