"""What a run's events boil down to: each distinct denial, refusal and fault once, with count and
first time.

`Summary` is a sink for drained records. A hostile guest can cause millions of them: like ones are
recognised by their bytes, and the first of each is all that is decoded.
"""

from __future__ import annotations

import struct
from collections import Counter
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


#: Groups of a heading that are told; the events of more are counted.
MOST = 500
#: Kinds of like events that are remembered by their bytes.
_REMEMBERED = 4 * MOST

# The bytes of a record that like events share, behind those of the partition: type, code and value,
# and arguments that say who, what and where, but neither time nor SIDs nor the message's values.
_LIKE: dict[int, tuple[slice, ...]] = {
    _VERDICT: (slice(24, 36), slice(48, 64), slice(72, 76), slice(80, 94)),
    _HYPERCALL: (slice(24, 32), slice(48, 56)),
    int(EventType.FAULT): (slice(24, 32), slice(48, 64)),
    int(EventType.HEALTH): (slice(24, 36), slice(64, 72)),
}
_PARTITION = slice(12, 14)

Key = tuple[object, ...]


@dataclass
class Group:
    """Like events of one partition; `first` is the earliest."""

    first: Event
    what: str
    why: str
    count: int = 1


Groups = dict[Key, Group]


@dataclass
class Summary:
    """`on_console` gets what the guests write to their consoles, as it is drained. `untold` are
    events of further groups, by heading, where there were too many to tell each."""

    names: Names
    on_console: Callable[[events.Console], None] | None = None
    denials: Groups = field(default_factory=dict)
    refusals: Groups = field(default_factory=dict)
    faults: Groups = field(default_factory=dict)
    health: Groups = field(default_factory=dict)
    notes: list[Event] = field(default_factory=list)  # policy swaps and the module's stop
    untold: Counter[str] = field(default_factory=Counter)
    _like: dict[bytes, Group] = field(default_factory=dict)

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
                self._take(kind, view[at : at + size])
            at += size

    def _take(self, kind: int, record: memoryview) -> None:
        slices = _LIKE.get(kind)
        if slices is None:
            self._note(events.decode(record))
            return
        like = b"".join((record[_PARTITION], *(record[each] for each in slices)))
        if group := self._like.get(like):
            group.count += 1
            return
        told = self._tell(events.decode(record))
        if told is not None and len(self._like) < _REMEMBERED:
            self._like[like] = told

    def _note(self, event: Event) -> None:
        if isinstance(event, events.Console):
            if self.on_console is not None:
                self.on_console(event)
            return
        self.names.observe(event)
        if len(self.notes) < MOST:
            self.notes.append(event)
        else:
            self.untold[event.kind.word] += 1

    def _tell(self, event: Event) -> Group | None:
        match event:
            case events.Verdict():
                parties = (event.source, event.destination, event.event, event.message[:6])
                key: Key = (*parties, event.reason, event.rule, event.sequence)
                return self._count("denied", self.denials, key, event)
            case events.Hypercall():
                key = (event.partition, event.number, event.arguments[:1], event.code)
                return self._count("refused", self.refusals, key, event)
            case events.Fault():
                key = (event.partition, event.fault, event.pc, event.address)
                return self._count("fault", self.faults, key, event)
            case events.Health():
                key = (event.partition, event.error, event.action, event.application)
                return self._count("health", self.health, key, event)
            case _:
                return None

    def _count(self, heading: str, groups: Groups, key: Key, event: Event) -> Group | None:
        if group := groups.get(key):
            group.count += 1
            return group
        if len(groups) == MOST:
            self.untold[heading] += 1
            return None
        groups[key] = Group(event, *_words(event, self.names))
        return groups[key]


def _words(event: Event, names: Names) -> tuple[str, str]:
    """What, and why."""
    match event:
        case events.Verdict():
            return text.judged(event, names), text.why(event, names)
        case events.Hypercall():
            return text.called(event, names), text.refusal(event)
        case events.Fault():
            return text.fault(event, names), ""
        case events.Health():
            return text.health(event), ""
        case _:
            return "", ""
