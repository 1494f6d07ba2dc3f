"""A security event and the decision on it, as both engines (reference and VM) speak of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

from kss.layout import Direction


class Kind(IntEnum):
    """Event kinds; the numbers are those of vm/kss.h."""

    EXECUTE = 0
    REQUEST = 1
    RESPONSE = 2
    ERROR = 3
    SECURITY = 4

    @property
    def direction(self) -> Direction | None:
        """Direction of the message that the event carries; None for execute."""
        return _DIRECTIONS[self]

    @property
    def server_is_source(self) -> bool:
        """Whether `src` (else `dst`) owns the endpoint or security interface called."""
        return self in (Kind.RESPONSE, Kind.ERROR, Kind.SECURITY)


_DIRECTIONS = {
    Kind.EXECUTE: None,
    Kind.REQUEST: Direction.IN,
    Kind.RESPONSE: Direction.OUT,
    Kind.ERROR: Direction.ERROR,
    Kind.SECURITY: Direction.IN,
}


class Reason(StrEnum):
    RULES = "rules"
    DEFAULT = "default"
    ERROR = "error"
    MALFORMED = "malformed"


class Result(StrEnum):
    DENIED = "denied"
    GRANTED = "granted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One question. Classes are indices of the policy, None if the policy does not know the class
    (denied by default, before the message is looked at) or, for `dst_class`, for security events.

    `released_sid` (execute only, 0 = none) is the dead SID whose contexts go in the same
    transaction, before any rule is called. A `trial` is judged like any event but changes no
    state: the kernel will not carry it out even if it is granted.
    """

    kind: Kind
    src_class: int | None
    dst_class: int | None
    src_sid: int
    dst_sid: int = 0
    message: bytes = b""
    released_sid: int = 0
    trial: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`calls` holds, in call order, (site id, result): every rule called, a `choice` that no branch
    matches (denied), and last the evaluation that failed, if one did (failed)."""

    granted: bool
    reason: Reason
    calls: tuple[tuple[int, Result], ...] = ()


# What an expression returned: a state's name, a text, a number.
Shown: TypeAlias = "str | int | bool | None"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is to be recorded of an event: the audit level it was judged at, and the calls, (site
    id, result of a rule or value of an expression)."""

    level: int
    calls: tuple[tuple[int, Result | Shown], ...] = ()
