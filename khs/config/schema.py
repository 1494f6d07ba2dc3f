"""The JSON Schema of a system.toml, made from the tables of khs.config.document."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from khs.config.document import Document, RowTable, Table, fields, hints_of, rest
from khs.config.model import ERRORS, PRIVILEGES, STATES
from khs.config.units import Quantity

_SIMPLE = {str: "string", bool: "boolean", int: "integer"}
_EXTRA: dict[tuple[str, str], dict[str, Any]] = {
    ("Document", "format"): {"const": 1},
    ("RegionTable", "map"): {
        "type": "object",
        "additionalProperties": {"type": "string", "enum": ["r", "rw"]},
    },
    ("PartitionTable", "privileges"): {
        "type": "array",
        "items": {"type": "string", "enum": list(PRIVILEGES)},
    },
}


def schema() -> dict[str, Any]:
    """The schema; an editor shows descriptions and completes keys with it."""
    definitions: dict[str, Any] = {}
    top = _table(Document, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "KHS system.toml",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _table(cls: type[Table], definitions: dict[str, Any]) -> dict[str, Any]:
    hints = hints_of(cls)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, field in fields(cls).items():
        extra = _EXTRA.get((cls.__name__, field.name), {})
        shape = extra or _shape(hints[field.name], definitions)
        if field.metadata["one_or_many"]:
            shape = {"anyOf": [shape, shape["items"]]}
        properties[name] = {"description": field.metadata["doc"], **shape}
        if field.metadata["required"]:
            required.append(name)
    made: dict[str, Any] = {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n")[0],
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    catch = rest(cls)
    if catch is not None:
        made["patternProperties"] = _shape(hints[catch.name], definitions)["patternProperties"]
    return made


def _row_pattern() -> str:
    return f"^({'|'.join(ERRORS)})(\\.({'|'.join(STATES)}))?$"


def _shape(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _shape(args[0], definitions)
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _shape(args[0], definitions)}
    if origin is dict:
        inner = _shape(args[1], definitions)
        if args[1] is RowTable:
            rows = {_row_pattern(): inner}
            return {"type": "object", "patternProperties": rows, "additionalProperties": False}
        return {"type": "object", "additionalProperties": inner}
    if issubclass(hint, Table):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _table(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if issubclass(hint, Quantity):
        return {"type": "string", "pattern": f"^({hint.pattern})$", "examples": [hint.example]}
    return {"type": _SIMPLE[hint]}
