"""The names behind the numbers of a policy.bin, as JSON that is kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import kss
from kss.api import Policy
from kss.binary import read
from kss.layout import (
    Array,
    Direction,
    Endpoint,
    EntityClass,
    Field,
    MessageType,
    Method,
    Sequence,
    Struct,
    Union,
    WireType,
)
from kss.nearest import Section

_DIRECTIONS = {Direction.IN: "in", Direction.OUT: "out", Direction.ERROR: "error"}


def policy_map(name: str, policy: Policy, binary: bytes, root: Path) -> dict[str, Any]:
    """Classes, rules, bindings, objects, as `khs.trace.policy` reads them; places are relative to
    `root`."""
    return {
        "policy": name,
        "sha256": sha256(binary).hexdigest(),
        "classes": [_class(entity) for entity in policy.tree.classes],
        "rules": [
            {
                "file": placed(site.location.file, root),
                "line": site.location.line,
                "column": site.location.column,
                "object": site.object,
                "method": site.method,
                "text": site.text,
            }
            for site in policy.tree.sites
        ],
        "values": read(binary).symbols["values"],
        "bindings": [_binding(section, root) for section in policy.sections],
        "objects": list(_objects(policy, binary)),
    }


def placed(file: str, root: Path) -> str:
    """A path that does not depend on where the system lies."""
    path = Path(file)
    package = Path(kss.__file__).parent
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    if path.is_relative_to(package):
        return f"kss/{path.relative_to(package).as_posix()}"
    return path.name


def _objects(policy: Policy, binary: bytes) -> Iterator[dict[str, Any]]:
    """The objects that have state, by their number in policy.bin."""
    image = read(binary)
    symbols = cast("list[dict[str, Any]]", image.symbols["objects"])
    declared = {each.name: each for each in policy.tree.objects}
    for symbol, record in zip(symbols, image.objects, strict=True):
        thing = declared[symbol["name"]]
        words = image.words[record.config : record.config + record.config_words]
        configuration = f"{thing.identity}\0{list(words)}".encode()
        yield {
            "name": thing.name,
            "model": thing.model,
            "types": {name: str(type) for name, type in thing.types.items()},
            "configuration": sha256(configuration).hexdigest()[:16],
        }


def _class(entity: EntityClass) -> dict[str, Any]:
    return {
        "name": entity.name,
        "endpoints": [_endpoint(endpoint) for endpoint in entity.endpoints],
        "security": [_endpoint(endpoint) for endpoint in entity.security],
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "riid": endpoint.riid,
        "interface": endpoint.interface.name,
        "component": endpoint.component,
        "methods": [_method(method) for method in endpoint.interface.methods],
    }


def _method(method: Method) -> dict[str, Any]:
    messages = {word: _message(method.message(way)) for way, word in _DIRECTIONS.items()}
    return {"name": method.name, "mid": method.mid, **messages}


def _message(message: MessageType) -> dict[str, Any]:
    fields = [_field(field) for field in message.fields]
    return {"size": message.size, "arena": message.arena, "fields": fields}


def _field(field: Field) -> dict[str, Any]:
    return {"name": field.name, "offset": field.offset, **_type(field.type)}


def _type(wire: WireType) -> dict[str, Any]:
    row: dict[str, Any] = {"size": wire.size, "type": str(wire)}
    if isinstance(wire, Struct):
        row["fields"] = [_field(field) for field in wire.fields]
    elif isinstance(wire, Union):
        row["members"] = [_field(member) for member in wire.members]
    elif isinstance(wire, Array | Sequence):
        row["element"] = {"offset": 0, **_type(wire.element)}
    return row


def _binding(section: Section, root: Path) -> dict[str, Any]:
    place = {"file": placed(section.file, root), "line": section.line, "text": section.text}
    return {**place, "kind": section.kind, **section.selectors}
