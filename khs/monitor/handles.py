"""Messages with handles between partitions: the monitor refuses each, whatever the policy says.

KHS transfers no handles. The number that a partition would write in place of one means nothing at
the other end, and nobody has checked it: no server may see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kss.boot import KERNEL
from kss.layout import (
    Direction,
    Endpoint,
    EntityClass,
    Field,
    MessageType,
    Method,
    Union,
    align_up,
)
from kss.tree import PolicyTree

# A type without values: what holds one is malformed.
_REFUSED = Union("a handle: none is transferred between partitions", ())


def carries_handle(method: Method) -> bool:
    """In its request or an answer."""
    return any(method.message(way).handles for way in Direction)


def carried(methods: Iterable[Method]) -> tuple[Method, ...]:
    """Those of an endpoint that can be called from another partition."""
    return tuple(method for method in methods if not carries_handle(method))


def refusing_handles(policy: PolicyTree) -> PolicyTree:
    """The policy with no message of a method with handles conforming; all else keeps its place."""
    return replace(policy, classes=tuple(map(_class, policy.classes)))


def _class(entity: EntityClass) -> EntityClass:
    if entity.name == KERNEL:
        return entity
    return replace(entity, endpoints=tuple(map(_endpoint, entity.endpoints)))


def _endpoint(endpoint: Endpoint) -> Endpoint:
    methods = endpoint.interface.methods
    if not any(map(carries_handle, methods)):
        return endpoint
    refused = tuple(_refused(each) if carries_handle(each) else each for each in methods)
    return replace(endpoint, interface=replace(endpoint.interface, methods=refused))


def _refused(method: Method) -> Method:
    kinds = (_without_values(method.message(way)) for way in Direction)
    request, response, error = kinds
    return replace(method, request=request, response=response, error=error)


def _without_values(message: MessageType) -> MessageType:
    last = Field("handle", align_up(message.size, _REFUSED.align), _REFUSED)
    return replace(message, fields=(*message.fields, last))
