"""What happened in a system up to where it stands, in words, out of the kernel's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from khs.abi.hypercalls import BY_NAME, HYPERCALLS
from khs.debug.target import Target
from khs.trace import Names, decode
from khs.trace.events import Event, Hypercall, Resume, Verdict
from khs.trace.kinds import EventType
from khs.trace.outline import Outline
from khs.trace.text import called, describe, format
from khs.trace.verdicts import Judged, Verdicts

#: Bytes of a record's tick, and where it has its partition and type: see khs/core/event.h.
_TICK, _PARTITION, _TYPE = 8, slice(12, 14), slice(24, 26)
#: Records that are looked through for what a partition waits in.
_LONG_AGO = 20_000
_CALL, _RECV = (BY_NAME[f"khs_{name}"].number for name in ("call", "recv"))
_RECEIVE = BY_NAME["khs_port_receive"].number
_INPUT = BY_NAME["khs_input_receive"].number
_PERIOD, _WINDOW = (BY_NAME[f"khs_{name}"].number for name in ("period_wait", "wait"))


def _kind(kind: EventType) -> bytes:
    return int(kind).to_bytes(2, "little")


_HYPERCALL, _VERDICT = _kind(EventType.HYPERCALL), _kind(EventType.VERDICT)
_FAULT = _kind(EventType.FAULT)
_SWAPS = frozenset({int(EventType.POLICY)})


@dataclass(frozen=True, slots=True)
class Called:
    """A hypercall, and the verdicts on its way with their numbers, from 1."""

    text: str
    verdicts: tuple[tuple[int, str], ...]


class Past:
    """One system's. `header` is that of its trace."""

    def __init__(self, target: Target, header: Mapping[str, Any]) -> None:
        self._target = target
        self.header = header
        self.outline = Outline.from_header(header)

    def events(self) -> Iterator[Event]:
        """All of them, from the beginning; with `header`, what `khs.trace.history` reads."""
        return map(decode, self._target.events())

    def names(self) -> Names:
        """Names that know which policies have come into force."""
        names = Names.from_header(self.header)
        for record in self._target.events(kinds=_SWAPS):
            names.observe(decode(record))
        return names

    def told(self, record: bytes) -> str:
        """An event as a line, like `khs trace`."""
        event, names = decode(record), self.names()
        names.observe(event)
        return format(event, names)

    @staticmethod
    def is_fault(record: bytes) -> bool:
        return record[_TYPE] == _FAULT

    def last_verdict(self, stopped_at: bytes | None) -> int:
        """The number of the verdict that it stopped behind, else of the last one; 0 if there was
        none."""
        last = number = sum(self._target.verdicts().values())
        if stopped_at is None:
            return last
        for record in self._target.latest():
            if record[:_TICK] != stopped_at[:_TICK]:
                break
            if record[_TYPE] == _VERDICT:
                if record == stopped_at:
                    return number
                number -= 1
        return last

    def calls(self, count: int) -> list[Called]:
        """The last hypercalls with what was judged on their way, oldest first."""
        records: list[bytes] = []
        seen = 0
        for record in self._target.latest():
            if seen >= count and record[:_TICK] != records[-1][:_TICK]:
                break  # what was judged before it came at its tick
            records.append(record)
            seen += record[_TYPE] == _HYPERCALL
        records.reverse()
        judged = sum(record[_TYPE] == _VERDICT for record in records)
        number = sum(self._target.verdicts().values()) - judged
        names = self.names()
        judge = Verdicts(names)
        found: list[Called] = []
        numbered: dict[int, int] = {}
        for record in records:
            event = decode(record)
            if isinstance(event, Verdict):
                number += 1
                numbered[id(judge.judged(event).verdict)] = number
            elif isinstance(event, Hypercall):
                found.append(_called(event, judge.of(event), numbered, names))
                numbered.clear()
            elif isinstance(event, Resume):
                found.append(Called(format(event, names), ()))
        return found[-count:]

    def waits(self, partition: int, blocked: int) -> str:
        """What a partition waits for that is blocked in a hypercall of that number; with its
        arguments if it was not long ago."""
        own, names = partition.to_bytes(2, "little"), self.names()
        for record in islice(self._target.latest(), _LONG_AGO):
            if record[_PARTITION] != own or record[_TYPE] != _HYPERCALL:
                continue
            event = decode(record)
            assert isinstance(event, Hypercall)
            since = f"since {names.ms(event.tick)} ms"
            return f"{self._reason(event, names)}, {since} in {_brief(event, names)}"
        name = HYPERCALLS[blocked].name if blocked < len(HYPERCALLS) else str(blocked)
        return f"waits in {name}, for long"

    def calling(self, partition: int, number: int, arguments: tuple[int, ...]) -> str:
        """A hypercall that is being made."""
        event = Hypercall(0, partition, True, 0, number, arguments, None, 0, b"", b"")
        return _brief(event, self.names())

    def _reason(self, event: Hypercall, names: Names) -> str:
        """Whom or what it waits for."""
        if event.number == _RECV:
            return "waits for a call"
        if event.number == _PERIOD:
            return "waits for its next release"
        if event.number == _WINDOW:
            return "waits for an interrupt or its next window"
        port = event.arguments[0] if event.arguments else 0
        if event.number == _INPUT:
            at = self.outline.input(event.partition, port)
            return f"waits for input{'' if at is None else ' ' + names.input(at)}"
        found = self.outline.port(event.partition, port)
        if event.number not in (_CALL, _RECEIVE) or found is None:
            return "waits"
        channel = self.outline.channels[found[0]]
        if event.number == _RECEIVE:
            return f"waits for a message of {names.partition(channel.source)}"
        return f"waits for the reply of {names.partition(channel.readers[0])}"


def _brief(event: Hypercall, names: Names) -> str:
    return called(event, names).removesuffix(" waits")


def _called(
    event: Hypercall, judged: list[Judged], numbered: Mapping[int, int], names: Names
) -> Called:
    rows = tuple(
        (numbered.get(id(each.verdict), 0), describe(each.verdict, names)) for each in judged
    )
    return Called(format(event, names), rows)
