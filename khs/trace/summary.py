"""What a run's events boil down to: each distinct denial, refusal and fault once, with count and
first time.

`Summary` is a sink for drained records; it decodes only the rare events it keeps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from khs.abi.hypercalls import CODES
from khs.trace import events, text
from khs.trace.events import Event
from khs.trace.kinds import EventType
from khs.trace.names import Names

_SIZE_TYPE_CODE_VALUE = struct.Struct("<8xI12xH2xII")
_VERDICT = int(EventType.VERDICT)
_ALWAYS = frozenset(
    int(kind) for kind in (EventType.FAULT, EventType.HEALTH, EventType.POLICY, EventType.STOP)
)
_CONSOLE = int(EventType.CONSOLE)
_HYPERCALL = int(EventType.HYPERCALL)
#: Answers to hypercalls that a sound program does not make: no such right, address or number.
_REFUSED = frozenset(
    code.number
    for code in CODES
    if code.name in ("INVALID_CONFIG", "BAD_POINTER", "NO_CALL", "WOULD_DEADLOCK", "UNKNOWN")
)


@dataclass
class Group:
    """Like events of one partition; `first` is the earliest."""

    first: Event
    what: str
    why: str
    count: int = 1


@dataclass
class Summary:
    """`on_console` gets what the guests write to their consoles, as it is drained."""

    names: Names
    on_console: Callable[[events.Console], None] | None = None
    denials: dict[tuple[object, ...], Group] = field(default_factory=dict)
    refusals: dict[tuple[object, ...], Group] = field(default_factory=dict)
    faults: dict[tuple[object, ...], Group] = field(default_factory=dict)
    health: dict[tuple[object, ...], Group] = field(default_factory=dict)
    notes: list[Event] = field(default_factory=list)  # policy swaps and the module's stop

    def __call__(self, records: memoryview | bytes) -> None:
        view = memoryview(records)
        at = 0
        while at + events.HEAD_SIZE <= len(view):
            size, kind, code, value = _SIZE_TYPE_CODE_VALUE.unpack_from(view, at)
            if size < events.HEAD_SIZE:
                break
            denied = kind == _VERDICT and not value
            refused = kind == _HYPERCALL and code in _REFUSED
            said = kind == _CONSOLE and self.on_console is not None
            if denied or refused or said or kind in _ALWAYS:
                self._keep(events.decode(view[at : at + size]))
            at += size

    def _keep(self, event: Event) -> None:
        key: tuple[object, ...]
        match event:
            case events.Verdict():
                what, why = text.judged(event, self.names), text.why(event, self.names)
                parties = (event.source, event.destination, event.event)
                method = event.message[:6]
                key = (*parties, method, event.reason, event.rule, event.sequence)
                _count(self.denials, key, event, what, why)
            case events.Hypercall():
                what, why = text.called(event, self.names), text.refusal(event)
                key = (event.partition, event.number, event.arguments[:1], event.code)
                _count(self.refusals, key, event, what, why)
            case events.Fault():
                what = text.fault(event, self.names)
                key = (event.partition, event.fault, event.pc, event.address)
                _count(self.faults, key, event, what, "")
            case events.Health():
                key = (event.partition, event.error, event.action, event.application)
                _count(self.health, key, event, text.health(event), "")
            case events.Console():
                if self.on_console is not None:
                    self.on_console(event)
            case _:
                self.names.observe(event)
                self.notes.append(event)


def _count(
    groups: dict[tuple[object, ...], Group],
    key: tuple[object, ...],
    event: Event,
    what: str,
    why: str,
) -> None:
    if group := groups.get(key):
        group.count += 1
    else:
        groups[key] = Group(event, what, why)
