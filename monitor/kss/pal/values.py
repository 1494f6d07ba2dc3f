"""The messages of test cases: from what is written to values for `kss.message.encode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kss import layout, syntax
from kss.errors import Findings, did_you_mean
from kss.layout import Field, MessageType, WireType
from kss.pal.cases import Process, SidOf
from kss.syntax import Span, Word

_BYTE = layout.Integer(8, False)
_UINT32 = layout.Integer(32, False)
_HANDLE = layout.place([("handle", _UINT32), ("rights", _UINT32)])

# Looks a process up; None after a finding.
Lookup = Callable[[Word], Process | None]


class Values:
    """Checks values against the types of a message. What is left out is zero or empty."""

    def __init__(self, lookup: Lookup, findings: Findings) -> None:
        self._lookup = lookup
        self._findings = findings

    def message(self, kinds: MessageType, node: syntax.Dict | None) -> dict[str, Any] | None:
        """The parameters; None after a finding."""
        before = self._findings.errors
        values = self._fields(kinds.fields, node, "the message") if node else {}
        return values if self._findings.errors == before else None

    def _wrong(self, span: Span, message: str, help: str = "") -> None:
        self._findings.error("PAL-005", span.at, message, help, span.text)

    def _fields(self, fields: tuple[Field, ...], node: syntax.Dict, owner: str) -> dict[str, Any]:
        known = {field.name: field.type for field in fields}
        found: dict[str, Any] = {}
        for entry in node.entries:
            name = str(entry.key)
            if name not in known:
                help = did_you_mean(name, known)
                self._wrong(entry.span, f"{owner} has no field {name}", help)
            elif name in found:
                self._wrong(entry.span, f"{name} is given twice", "take one out")
            else:
                found[name] = self._value(known[name], entry.value)
        return found

    def _value(self, wire: WireType, node: syntax.Expression) -> Any:
        match wire:
            case layout.Integer():
                return self._integer(wire, node)
            case layout.String():
                return self._text(wire, node)
            case layout.Bytes():
                return self._bytes(wire, node)
            case layout.Array() | layout.Sequence():
                return self._list(wire, node)
            case layout.Handle():
                return self._composite(wire, _HANDLE, node)
            case layout.Struct():
                return self._composite(wire, wire.fields, node)
            case layout.Union():
                return self._union(wire, node)

    def _no(self, wire: WireType, node: syntax.Expression, help: str) -> None:
        self._wrong(node.span, f"{node.span.text} is no {wire}", help)

    def _text(self, wire: layout.String, node: syntax.Expression) -> str | None:
        if isinstance(node, syntax.Literal) and isinstance(node.value, str):
            return node.value
        self._no(wire, node, "a text in double quotes")
        return None

    def _bytes(self, wire: layout.Bytes, node: syntax.Expression) -> bytes | None:
        if isinstance(node, syntax.Literal) and isinstance(node.value, str):
            return node.value.encode()
        if isinstance(node, syntax.List):
            values = [self._integer(_BYTE, item) for item in node.items]
            return bytes(value for value in values if isinstance(value, int))
        self._no(wire, node, "a list of integers from 0 to 255, or a text")
        return None

    def _list(
        self, wire: layout.Array | layout.Sequence, node: syntax.Expression
    ) -> list[Any] | None:
        if not isinstance(node, syntax.List):
            self._no(wire, node, "a list, [a, b]")
            return None
        if isinstance(wire, layout.Array) and len(node.items) > wire.count:
            message = f"{len(node.items)} elements do not fit {wire}"
            self._wrong(node.span, message, f"at most {wire.count}")
        return [self._value(wire.element, item) for item in node.items]

    def _composite(
        self, wire: WireType, fields: tuple[Field, ...], node: syntax.Expression
    ) -> dict[str, Any] | None:
        if isinstance(node, syntax.Dict):
            return self._fields(fields, node, str(wire))
        names = ", ".join(f"{field.name} : ..." for field in fields[:3])
        self._no(wire, node, f"{{ {names} }}")
        return None

    def _union(self, wire: layout.Union, node: syntax.Expression) -> dict[str, Any] | None:
        if isinstance(node, syntax.Dict) and len(node.entries) != 1:
            names = ", ".join(member.name for member in wire.members)
            message = f"{wire} is a union: one field is given, not {len(node.entries)}"
            self._wrong(node.span, message, f"one of {names}")
        return self._composite(wire, wire.members, node)

    def _integer(self, wire: layout.Integer, node: syntax.Expression) -> int | SidOf | None:
        if isinstance(node, syntax.Name):
            process = self._lookup(node.word)
            if process is not None and wire.bits < 32:
                self._wrong(node.span, f"a SID does not fit {wire}", "SIDs are UInt32")
            return SidOf(process) if process else None
        value = node.value if isinstance(node, syntax.Literal) else None
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(node.span, f"{node.span.text} is no {wire}", "an integer, or a process")
            return None
        low = -(1 << (wire.bits - 1)) if wire.signed else 0
        high = low + (1 << wire.bits) - 1
        if not low <= value <= high:
            self._wrong(node.span, f"{value} does not fit {wire}", f"{wire} holds {low} to {high}")
        return value
