"""What a verdict says, through the policy map that `khs build` leaves beside the policy.

A map is JSON; whatever it does not name is shown by number:

    "sha256"    of policy.bin
    "classes"   [{"name", "endpoints": [ENDPOINT], "security": [ENDPOINT]}] by class number
    ENDPOINT    {"name", "riid", "interface", "methods": [{"name", "mid", "in", "out", "error"}]}
    "rules"     [{"file", "line", "column", "object", "method", "text"}] by rule id
    "values"    {RULE ID: [VALUE]} of expressions that audit records tell of: the value by number
    "bindings"  [{"file", "line", "text", "kind", "src", "dst", "interface", "component",
                 "endpoint", "method"}] the conditions under which rules are called
    "objects"   [{"name", "model", "types": {NAME: TYPE}, "configuration": DIGEST}] by number in
                policy.bin: what must agree for a policy swap to keep an object's state
    in, out, error: {"size", "arena", "fields": [FIELD]}, see `khs.trace.message`
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from khs.trace import message
from khs.trace.events import NONE, AuditedCall, Verdict
from khs.trace.kinds import CallResult, Reason, SecurityEvent

if TYPE_CHECKING:
    from khs.monitor import Section
    from khs.monitor.messages import Conformance

_HEADER = struct.Struct("<IHH")
_SELECTORS = ("src", "dst", "interface", "component", "endpoint", "method")
_UNKNOWN = {
    Reason.RULES: "denied by a rule of a policy whose text is not known",
    Reason.ERROR: "a rule of a policy whose text is not known could not be evaluated",
}
_MALFORMED = "the message does not conform to its interface"
_DIRECTIONS = ("in", "out", "error")


class PolicyNames:
    """One policy's map, read with care: it comes from a file."""

    def __init__(self, policy_map: Mapping[str, Any]) -> None:
        self._classes = _rows(policy_map, "classes")
        self._conformance: dict[int, Conformance] = {}
        self.rules = _rows(policy_map, "rules")
        self._bindings = _rows(policy_map, "bindings")
        self.objects = _rows(policy_map, "objects")
        self._values_of = values if isinstance(values := policy_map.get("values"), Mapping) else {}

    def class_name(self, number: int | None) -> str:
        """Name of a class, "" if the map does not know it."""
        row = self._class(number)
        return str(row.get("name", "")) if row else ""

    def class_number(self, name: str) -> int:
        """Number of a class, that of none if the map does not know it."""
        found = (number for number, row in enumerate(self._classes) if row.get("name") == name)
        return next(found, NONE)

    def rule(self, number: int | None) -> Mapping[str, Any] | None:
        """The rule with this id."""
        if number is None or number >= len(self.rules):
            return None
        return self.rules[number]

    def message(self, verdict: Verdict) -> str:
        """`endpoint.Method {field: value}`, "" for an event without a message."""
        malformed = verdict.reason is Reason.MALFORMED  # what it holds are no values
        if len(verdict.message) < _HEADER.size:
            return f"[{message.show_hex(verdict.message)}]" if malformed else ""
        riid, mid, _ = _HEADER.unpack_from(verdict.message)
        _, method = self._method(verdict)
        if method is None:
            return f"endpoint {riid} method {mid}"
        name = self.method(verdict)
        if malformed:
            return f"{name} [{message.show_hex(verdict.message)}]"
        values = self._values(verdict, method)
        shown = ", ".join(f"{key}: {message.show(value)}" for key, value in values.items())
        return f"{name} {{{shown}}}" if shown else name

    def method(self, verdict: Verdict) -> str:
        """`endpoint.Method`, "" if the map has none of that number."""
        endpoint, method = self._method(verdict)
        if endpoint is None or method is None:
            return ""
        return ".".join(str(part) for part in (endpoint.get("name"), method.get("name")) if part)

    def why(self, verdict: Verdict) -> str:
        """The rule that decided with its place, or what is missing."""
        rule = self.rule(verdict.rule)
        if verdict.reason is Reason.MALFORMED:
            defect = self.defect(verdict)
            return f"{_MALFORMED}: {defect}" if defect else _MALFORMED
        if verdict.reason is Reason.DEFAULT:
            return f"no rule matches{self._nearest_text(verdict)}"
        if rule is None:
            return "" if verdict.granted else _UNKNOWN[verdict.reason]
        place = f"{rule.get('file')}:{rule.get('line')}"
        text = " ".join(str(rule.get("text", "")).split())
        failed = "could not be evaluated: " if verdict.reason is Reason.ERROR else ""
        return f"{place}: {failed}{text}"

    def defect(self, verdict: Verdict) -> str:
        """What is wrong with a malformed message, "" if that is not known."""
        from khs.monitor.messages import Conformance

        number = self._server(verdict)
        row = self._class(number)
        if number is None or row is None:
            return ""
        if number not in self._conformance:
            self._conformance[number] = Conformance(row)
        return self._conformance[number].defect(verdict.event.word, verdict.message)

    def to_json(self, verdict: Verdict) -> dict[str, object]:
        """Endpoint, method and message by name, the deciding rule, or the nearest one."""
        row: dict[str, object] = {}
        endpoint, method = self._method(verdict)
        if endpoint is not None and method is not None:
            row["endpoint"] = endpoint.get("name")
            row["interface"] = endpoint.get("interface")
            row["method"] = method.get("name")
            malformed = verdict.reason is Reason.MALFORMED
            row["values"] = {} if malformed else self._values(verdict, method)
        if verdict.reason is Reason.MALFORMED:
            row["defect"] = self.defect(verdict)
        rule = self.rule(verdict.rule)
        row["rule"] = None if rule is None else dict(rule)
        if verdict.reason is Reason.DEFAULT:
            nearest = self.nearest(verdict)
            row["nearest"] = None if nearest is None else dict(nearest)
        return row

    def event(self, verdict: Verdict) -> dict[str, object]:
        """The event judged, by names: classes, SIDs, and what its message is for."""
        row: dict[str, object] = {
            "kind": verdict.event.word,
            "src": self.class_name(verdict.source_class) or verdict.source_class,
            "src_sid": verdict.source_sid,
        }
        if verdict.event is not SecurityEvent.SECURITY:
            number = verdict.destination_class
            row["dst"] = self.class_name(number) or number
            row["dst_sid"] = verdict.destination_sid
        endpoint, method = self._method(verdict)
        if endpoint is not None and method is not None:
            row.update({key: endpoint.get(key) for key in ("interface", "component")})
            row["endpoint"], row["method"] = endpoint.get("name"), method.get("name")
        return row

    def audited(self, call: AuditedCall) -> dict[str, object]:
        """A call of an audit record: object, method, result, file and line."""
        rule = self.rule(call.rule) or {"object": "", "method": f"rule {call.rule}"}
        row = {key: rule.get(key) for key in ("object", "method", "file", "line")}
        values = self._values_of.get(str(call.rule))
        if call.result is not CallResult.VALUE:
            return {**row, "result": call.result.word}
        if not isinstance(values, list):
            return {**row, "result": call.value}
        return {**row, "result": values[call.value] if call.value < len(values) else None}

    def nearest(self, verdict: Verdict) -> Mapping[str, Any] | None:
        """The binding that comes closest to the event, None if none comes close."""
        from khs.monitor import nearest

        found = nearest(self._sections, verdict.event.word, self.facts(verdict))
        return None if found is None else self._bindings[found.index]

    def _nearest_text(self, verdict: Verdict) -> str:
        from khs.monitor import advice

        if not self._classes:  # the map is missing: nothing is known of the policy
            return ""
        return f"; {advice(self._sections, verdict.event.word, self.facts(verdict))}"

    @cached_property
    def _sections(self) -> Sequence[Section]:
        from khs.monitor import Section

        return [
            Section(
                kind=str(row.get("kind")),
                selectors={name: str(row[name]) for name in _SELECTORS if row.get(name)},
                file=str(row.get("file")),
                line=line if isinstance(line := row.get("line"), int) else 0,
                text=str(row.get("text")),
            )
            for row in self._bindings
        ]

    def facts(self, verdict: Verdict) -> dict[str, str | None]:
        """The event as selectors see it."""
        endpoint, method = self._method(verdict)
        security = verdict.event is SecurityEvent.SECURITY
        parts = (endpoint, method) if security else (method,)
        names = [name for part in parts if (name := _text(part, "name"))]
        return {
            "src": self.class_name(verdict.source_class) or None,
            "dst": self.class_name(verdict.destination_class) or None,
            "interface": _text(endpoint, "interface"),
            "component": _text(endpoint, "component"),
            "endpoint": None if security else _text(endpoint, "name"),
            "method": ".".join(names) or None,
        }

    def _class(self, number: int | None) -> Mapping[str, Any] | None:
        if number is None or number >= len(self._classes):
            return None
        return self._classes[number]

    def _server(self, verdict: Verdict) -> int | None:
        """Number of the class whose endpoint it is: who answers, or is asked."""
        asked = verdict.event is SecurityEvent.REQUEST
        return verdict.destination_class if asked else verdict.source_class

    def _method(
        self, verdict: Verdict
    ) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Endpoint and method of the message."""
        if len(verdict.message) < _HEADER.size:
            return None, None
        riid, mid, _ = _HEADER.unpack_from(verdict.message)
        owner = self._class(self._server(verdict)) or {}
        kind = "security" if verdict.event is SecurityEvent.SECURITY else "endpoints"
        endpoint = _find(_rows(owner, kind), "riid", riid)
        method = _find(_rows(endpoint or {}, "methods"), "mid", mid)
        return endpoint, method

    def _values(self, verdict: Verdict, method: Mapping[str, Any]) -> dict[str, object]:
        direction = _HEADER.unpack_from(verdict.message)[2]
        layout = method.get(_DIRECTIONS[direction]) if direction < len(_DIRECTIONS) else None
        return message.decode(layout, verdict.message) if isinstance(layout, Mapping) else {}


def _rows(table: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    rows = table.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return ()
    return rows


def _text(row: Mapping[str, Any] | None, key: str) -> str | None:
    value = row.get(key) if row else None
    return value if isinstance(value, str) else None


def _find(rows: Sequence[Mapping[str, Any]], key: str, value: int) -> Mapping[str, Any] | None:
    return next((row for row in rows if row.get(key) == value), None)
