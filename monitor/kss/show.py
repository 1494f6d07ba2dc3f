"""Layouts and findings as the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kss.errors import Finding
from kss.layout import Endpoint, EntityClass, Interface, MessageType, Method


def layout_json(item: EntityClass) -> dict[str, Any]:
    """Endpoints with numbers and message layouts; `security` only if the class has any."""
    shown = {"endpoints": [endpoint_json(endpoint) for endpoint in item.endpoints]}
    if item.security:
        shown["security"] = [endpoint_json(endpoint) for endpoint in item.security]
    return shown


def interface_json(interface: Interface) -> dict[str, Any]:
    """An interface by itself: its riid is the class's that offers it."""
    return {
        "interface": interface.name,
        "methods": [method_json(method) for method in interface.methods],
    }


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "riid": endpoint.riid,
        **interface_json(endpoint.interface),
    }


def method_json(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "mid": method.mid,
        "in": message_json(method.request),
        "out": message_json(method.response),
        "error": message_json(method.error),
    }


def message_json(message: MessageType) -> dict[str, Any]:
    fields = [
        {"name": f.name, "offset": f.offset, "size": f.size, "type": str(f.type)}
        for f in message.fields
    ]
    return {
        "size": message.size,
        "arena": message.arena,
        "handles": message.handles,
        "fields": fields,
    }


def check_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """What `kss check` found: `ok` if there is no error."""
    listed = list(findings)
    ok = all(finding.severity != "error" for finding in listed)
    return {"ok": ok, "findings": [finding_json(finding) for finding in listed]}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding; `text` is the offending source text, "" where there is none."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "help": finding.help,
        "text": finding.text,
    }
