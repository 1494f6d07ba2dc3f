"""Messages of a trace, checked by the monitor's own rules: what is wrong with a malformed one."""

from __future__ import annotations

from collections.abc import Mapping
from struct import error
from typing import Any

from kss.defects import defect
from kss.events import Kind
from kss.layout import (
    Array,
    Bytes,
    Direction,
    Endpoint,
    EntityClass,
    Field,
    Handle,
    Integer,
    Interface,
    MessageType,
    Method,
    Sequence,
    String,
    Struct,
    Union,
    WireType,
)

Row = Mapping[str, Any]
_INTEGERS = [Integer(bits, signed) for bits in (8, 16, 32, 64) for signed in (False, True)]
_SCALARS: dict[str, WireType] = {"Handle": Handle(), **{str(each): each for each in _INTEGERS}}
_DIRECTIONS = {Direction.IN: "in", Direction.OUT: "out", Direction.ERROR: "error"}


class Conformance:
    """Of a class as the policy map of a trace has it. That comes from a file: where it makes no
    sense, nothing is told."""

    def __init__(self, row: Row) -> None:
        self._server: EntityClass | None
        try:
            self._server = _class(row)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            self._server = None

    def defect(self, kind: str, data: bytes) -> str:
        """What is wrong with a message of an event of a kind, in words; "" if that is not known."""
        if self._server is None:
            return ""
        try:
            found = defect(self._server, Kind[kind.upper()], data)
            return found or self._handles(Kind[kind.upper()], data)
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, error):
            return ""

    def _handles(self, kind: Kind, data: bytes) -> str:
        """What else `khs.monitor.handles` refuses."""
        from kss.reference import called_method

        found = called_method(self._server, kind, data) if self._server else None
        kinds = [found[1].message(way) for way in Direction] if found else []
        refused = any(each.handles for each in kinds)
        return "its method carries handles, and none is transferred" if refused else ""


def _class(row: Row) -> EntityClass:
    endpoints, security = (tuple(map(_endpoint, row[key])) for key in ("endpoints", "security"))
    return EntityClass(str(row["name"]), 0, endpoints, security)


def _endpoint(row: Row) -> Endpoint:
    interface = Interface(str(row["interface"]), tuple(map(_method, row["methods"])))
    return Endpoint(str(row["name"]), int(row["riid"]), interface, None)


def _method(row: Row) -> Method:
    kinds = (MessageType(way, _fields(row[key]["fields"])) for way, key in _DIRECTIONS.items())
    return Method(str(row["name"]), int(row["mid"]), *kinds)


def _fields(rows: list[Row]) -> tuple[Field, ...]:
    return tuple(Field(str(row["name"]), int(row["offset"]), _type(row)) for row in rows)


def _type(row: Row) -> WireType:
    name = str(row["type"])
    if "fields" in row:
        return Struct(name, _fields(row["fields"]))
    if "members" in row:
        return Union(name, _fields(row["members"]))
    if name in _SCALARS:
        return _SCALARS[name]
    limit = int(name.rstrip(">").replace("<", ",").split(",")[-1])
    if "element" in row:
        kind = Array if name.startswith("array") else Sequence
        return kind(_type(row["element"]), limit)
    return (String if name.startswith("string") else Bytes)(limit)
