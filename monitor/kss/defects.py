"""Why a message is malformed, in words; `kss.reference` and the policy VM only say that it is."""

from __future__ import annotations

from kss import message
from kss.events import Kind
from kss.layout import HEADER_SIZE, EntityClass


def defect(server: EntityClass, kind: Kind, data: bytes) -> str:
    """What is wrong with a message of an endpoint (or security interface) of `server`, "" if it
    conforms."""
    if kind.direction is None:
        return ""
    if len(data) < HEADER_SIZE:
        return f"{len(data)} bytes, a header has {HEADER_SIZE}"
    riid, mid, flags = message.header(data)
    security = kind is Kind.SECURITY
    endpoints = server.security if security else server.endpoints
    what = "security interface" if security else "endpoint"
    if riid >= len(endpoints):
        return f"its header names {what} {riid}; {server.name} has {len(endpoints)}, from 0 on"
    if flags != kind.direction:
        word = kind.name.lower()
        return f"its header has flag {flags}, that of a {word} is {kind.direction.value}"
    endpoint = endpoints[riid]
    methods = endpoint.interface.methods
    if mid >= len(methods):
        name = endpoint.name or endpoint.interface.name
        return f"its header names method {mid}; {what} {name} has {len(methods)}, from 0 on"
    return message.defect(methods[mid].message(kind.direction), data) or ""
