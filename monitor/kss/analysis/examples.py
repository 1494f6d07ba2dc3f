"""Events as examples: lines of `kss eval` for an interaction, with a message out of a box."""

from __future__ import annotations

from typing import Any

from kss import layout
from kss.analysis.abstract import Box
from kss.analysis.interactions import Interaction
from kss.analysis.values import Choices, Domain, Numbers
from kss.events import Kind
from kss.layout import WireType

MOST_ELEMENTS = 1 << 16  # of lists that are written out


def example(interaction: Interaction, box: Box) -> dict[str, Any] | None:
    """An event line; the message is as plain as the box allows. None if there is none, because a
    type is not known (`kss.stubs`) or a list would be too long."""
    kind, src, dst, endpoint, method = interaction.key
    names = {"event": kind, "src": src, "dst": dst, "endpoint": endpoint, "method": method}
    line: dict[str, Any] = {key: name for key, name in names.items() if name}
    asked = interaction.operation.message
    if interaction.kind is Kind.EXECUTE or asked is None:
        return line
    try:
        values = _Values(box)
        found = {f.name: values.of(f.type, f"message.{f.name}") for f in asked.fields}
    except ValueError:
        return None
    message = {name: value for name, value in found.items() if value is not None}
    return {**line, "message": message} if message else line


class _Values:
    """Values out of a box; None where any will do."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def of(self, wire: WireType, path: str) -> Any:
        match wire:
            case layout.Integer():
                return self._number(path)
            case layout.String():
                return self._text(path)
            case layout.Handle():
                return self._fields(
                    {"handle": layout.Integer(32, False), "rights": layout.Integer(32, False)}, path
                )
            case layout.Struct(_, fields):
                return self._fields({field.name: field.type for field in fields}, path)
            case layout.Union():
                return self._union(wire, path)
            case layout.Array(element, count):
                return self._list(element, path, count)
        size = self._number(f"size of {path}")
        if size is None:
            return None
        if isinstance(wire, layout.Bytes):
            data = self._items(layout.Integer(8, False), path, size)
            return bytes(item or 0 for item in data).hex()
        assert isinstance(wire, layout.Sequence)
        return [_filled(wire.element, item) for item in self._items(wire.element, path, size)]

    def _number(self, path: str) -> int | None:
        """The one nearest to zero."""
        domain: Domain | None = self._box.get(path)
        if not isinstance(domain, Numbers):
            return None
        return min(max(domain.low, 0), domain.high)

    def _text(self, path: str) -> str | None:
        domain = self._box.get(path)
        if not isinstance(domain, Choices):
            return None
        value = domain.values[0]
        assert isinstance(value, bytes)
        return value.decode("utf-8", "surrogateescape")

    def _fields(self, fields: dict[str, WireType], path: str) -> dict[str, Any] | None:
        found = {name: self.of(kind, f"{path}.{name}") for name, kind in fields.items()}
        given = {name: value for name, value in found.items() if value is not None}
        return given or None

    def _union(self, wire: layout.Union, path: str) -> dict[str, Any] | None:
        if not wire.members:
            raise ValueError(path)
        tag = self._number(f"tag of {path}")
        member = wire.members[tag or 0]
        value = self.of(member.type, f"{path}.{member.name}")
        if value is None and not tag:
            return None
        return {member.name: _filled(member.type, value)}

    def _list(self, element: WireType, path: str, count: int) -> list[Any] | None:
        items = self._items(element, path, count)
        if all(item is None for item in items):
            return None
        return [_filled(element, item) for item in items]

    def _items(self, element: WireType, path: str, count: int) -> list[Any]:
        if count > MOST_ELEMENTS:
            raise ValueError(path)
        return [self.of(element, f"{path}.[{i}]") for i in range(count)]


def _filled(wire: WireType, value: Any) -> Any:
    """A value in place of none, where one has to be written."""
    if value is not None:
        return value
    match wire:
        case layout.Integer():
            return 0
        case layout.String() | layout.Bytes():
            return ""
        case layout.Array(element, count):
            return [_filled(element, None) for _ in range(count)]
        case layout.Sequence():
            return []
    return {}
