"""What a run's events boil down to: each distinct denial, refusal and fault once, with count and
first time.

`Summary` is a sink for drained records. A hostile guest can cause millions of them, all different:
like ones are recognised by their bytes, and the first of each is all that is decoded; of each kind
a few are told and the others counted. Neither memory nor output grows with what a guest makes up.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from khs.abi.hypercalls import CODES, HYPERCALLS
from khs.trace import events, text
from khs.trace.events import Event
from khs.trace.kinds import EventType, PolicyRefusal, Reason
from khs.trace.names import Names

_SIZE_TYPE_CODE_VALUE = struct.Struct("<8xI12xH2xII")
_VERDICT = int(EventType.VERDICT)
_ALWAYS = frozenset(
    int(kind) for kind in (EventType.FAULT, EventType.HEALTH, EventType.POLICY, EventType.STOP)
)
_POLICY = int(EventType.POLICY)
_CONSOLE = int(EventType.CONSOLE)
_HYPERCALL = int(EventType.HYPERCALL)
#: Answers to hypercalls that a sound program does not make: no such right, address or number.
REFUSED = frozenset(
    code.number
    for code in CODES
    if code.name in ("INVALID_CONFIG", "BAD_POINTER", "NO_CALL", "WOULD_DEADLOCK", "UNKNOWN")
)


#: Of one partition under one heading: kinds of events that are told, and different ones of a kind
#: (a hypercall refused with one code, say, with different arguments). More are counted.
KINDS, EXAMPLES = 32, 4
#: Policy swaps that are told.
SWAPS = 32
#: Like events that are remembered by their bytes.
_REMEMBERED = 4096
_LONGEST = 500  # characters of what a guest made up
#: What the document of a run has of a swap, as in the JSON lines of a trace.
_SWAP = ("tick", "kept", "count", "objects", "refusal", "needed", "reserved", "text")

# The bytes of a record that like events share, behind those of the partition: type, code and value,
# and arguments that say who, what and where, but neither time nor SIDs nor the message's values.
_LIKE: dict[int, tuple[slice, ...]] = {
    _VERDICT: (slice(24, 36), slice(48, 64), slice(72, 76), slice(80, 94)),
    _HYPERCALL: (slice(24, 32), slice(48, 56)),
    int(EventType.FAULT): (slice(24, 32), slice(48, 64)),
    int(EventType.HEALTH): (slice(24, 36), slice(64, 72)),
    _POLICY: (slice(24, 36), slice(48, 56)),
}
_PARTITION = slice(12, 14)
_REASON = 28  # of a verdict
_MESSAGE = slice(88, None)

Key = tuple[object, ...]


@dataclass
class Group:
    """Like events of one partition; `first` is the earliest. `more`, in the last group of a kind
    that is told: further events of the kind, which are like none of those."""

    first: Event
    what: str
    why: str
    count: int = 1
    more: int = 0


Groups = dict[Key, Group]


@dataclass
class Summary:
    """`on_console` gets what the guests write to their consoles, as it is drained. `untold` are
    events of further kinds, by heading, where there were too many to tell each. Each partition has
    room of its own: what one makes up hides nothing of another."""

    names: Names
    on_console: Callable[[events.Console], None] | None = None
    denials: Groups = field(default_factory=dict)
    refusals: Groups = field(default_factory=dict)
    faults: Groups = field(default_factory=dict)
    health: Groups = field(default_factory=dict)
    policies: Groups = field(default_factory=dict)  # that were refused
    notes: list[Event] = field(default_factory=list)  # policy swaps and the module's stop
    untold: Counter[str] = field(default_factory=Counter)
    _like: dict[bytes, Group] = field(default_factory=dict)
    _kinds: dict[Key, list[Group]] = field(default_factory=dict)
    _room: Counter[Key] = field(default_factory=Counter)

    def swaps(self) -> list[dict[str, object]]:
        """Policies that came into force and that were refused, in the order of time, with what
        became of their objects or why; as many as are told."""
        refused = [group.first for group in self.policies.values()]
        told = [event for event in self.notes if isinstance(event, events.PolicySwap)]
        both = sorted([*told, *refused], key=lambda event: event.tick)
        return [
            {key: value for key, value in text.to_json(event, self.names).items() if key in _SWAP}
            | {"policy": self.names.policy(event.policy)}
            for event in both
            if isinstance(event, events.PolicySwap)
        ]

    @property
    def refused_policies(self) -> dict[int, PolicyRefusal]:
        """Policies that were refused, by number, and why."""
        firsts = (group.first for group in self.policies.values())
        return {
            event.policy: event.refusal
            for event in firsts
            if isinstance(event, events.PolicySwap)
            if event.policy is not None and event.refusal is not None
        }

    def __call__(self, records: memoryview | bytes) -> None:
        view = memoryview(records)
        at = 0
        while at + events.HEAD_SIZE <= len(view):
            size, kind, code, value = _SIZE_TYPE_CODE_VALUE.unpack_from(view, at)
            if size < events.HEAD_SIZE:
                break
            denied = kind == _VERDICT and not value
            refused = kind == _HYPERCALL and code in REFUSED
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
        if kind == _VERDICT and record[_REASON] == Reason.MALFORMED:  # whatever byte it is
            like += blake2b(record[_MESSAGE], digest_size=16).digest()
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
        if isinstance(event, events.PolicySwap) and len(self.notes) >= SWAPS:
            self.untold["policy"] += 1
        else:
            self.notes.append(event)

    def _tell(self, event: Event) -> Group | None:
        """The group of an event, if it has one."""
        match event:
            case events.Verdict():
                parties = (event.destination, event.event, event.reason, event.rule)
                kind: Key = (*parties, *self.names.judged_by(event))
                example: Key = (event.message[:6],)
                if event.reason is Reason.MALFORMED:  # by what is wrong, but for numbers in it
                    example = (*example, re.sub(r"\d+", "", text.why(event, self.names)))
                return self._count("denied", self.denials, kind, example, event)
            case events.Hypercall():
                kind = (min(event.number, len(HYPERCALLS)), event.code)
                return self._count("refused", self.refusals, kind, event.arguments[:1], event)
            case events.Fault():
                place = (event.pc, event.address)
                return self._count("fault", self.faults, (event.fault,), place, event)
            case events.Health():
                kind = (event.error, event.action)
                return self._count("health", self.health, kind, (event.application,), event)
            case events.PolicySwap(refusal=refusal) if refusal is not None:
                return self._count("policy", self.policies, (event.policy,), (refusal,), event)
            case _:
                self._note(event)
                return None

    def _count(
        self, heading: str, groups: Groups, kind: Key, example: Key, event: Event
    ) -> Group | None:
        whose = (heading, event.partition)
        if group := groups.get((event.partition, *kind, *example)):
            group.count += 1
            return group
        known = self._kinds.get((*whose, *kind))
        if known is None:
            if self._room[whose] == KINDS:
                self.untold[heading] += 1
                return None
            self._room[whose] += 1
            known = self._kinds[(*whose, *kind)] = []
        if len(known) == EXAMPLES:
            known[-1].more += 1
            return None
        what, why = map(_shortened, _words(event, self.names))
        group = Group(event, what, why)
        groups[(event.partition, *kind, *example)] = group
        known.append(group)
        return group


def _shortened(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."


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
            return text.describe(event, names), ""
