"""The stream of hypercalls and of what else happened, row by row.

A row is a hypercall with the verdicts on its way, or any other event. A run is the same however
often one goes back in it, so that rows stay when the system is taken back: they lie ahead then.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from khs.abi.hypercalls import HYPERCALLS
from khs.debug.stops import Position
from khs.debug.tui.lines import Line, Role, fit
from khs.trace import events, text
from khs.trace.events import (
    Event,
    Hypercall,
    PolicySwap,
    Resume,
    ScheduleSwitch,
    Verdict,
    decode,
)
from khs.trace.kinds import EventType
from khs.trace.names import Names
from khs.trace.summary import REFUSED

Mark = Literal["granted", "denied", "refused", "fault", ""]
#: Events that are kept as rows: of a long run those around where it stands.
MOST = 10_000
#: Records from a number on to where the system stands, only those of some types.
Read = Callable[[int, frozenset[int] | None], Iterable[bytes]]
_TELLING_OTHERS = frozenset({int(EventType.POLICY), int(EventType.SCHEDULE)})
#: How a mark looks, also without colours.
MARKS: dict[Mark, tuple[str, Role]] = {
    "granted": ("✓", "good"),
    "denied": ("✗", "bad"),
    "refused": ("·", "warn"),
    "fault": ("!", "bad"),
    "": (" ", "plain"),
}
#: First arguments that have names; others mean little without looking closer.
_TELLING = ("port", "mode", "target", "schedule", "policy", "input")


@dataclass(frozen=True)
class Row:
    """Events `first` to `last` of the run, by number; `event` is what they are about, `verdicts`
    those on its way, each with its number, `notes` what audit profiles have recorded of these."""

    first: int
    last: int
    event: Event
    verdicts: tuple[tuple[int, Verdict], ...]
    mark: Mark
    time: str
    who: str
    what: str
    notes: tuple[str, ...] = ()

    @property
    def tick(self) -> int:
        return self.event.tick

    @cached_property
    def searched(self) -> str:
        """What a filter looks at."""
        kind = self.event.kind.word
        return f"{self.time} {self.who} {kind} {self.what}".casefold()

    def line(self, width: int, names: int = 10, here: bool = False, ahead: bool = False) -> Line:
        """The row in so many columns, `names` of them for who made it. `here`: the system stands
        behind it, `ahead`: before it."""
        mark, role = MARKS[self.mark]
        rest = max(width - 14 - names - 3, 0)
        body: Role = role if self.mark in ("denied", "fault") else "plain"
        if ahead:
            role = body = "dim"
        return (
            ("▸" if here else " ", "here"),
            (f"{self.time:>12} ", "dim" if ahead else "time"),
            (fit(self.who, names) + " ", "dim" if ahead else "name"),
            (mark + " ", role),
            (fit(self.what, rest), body),
        )


class Stream:
    """Rows of the events from number `first` on; `judged` are verdicts and policy swaps, each with
    its number."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.rows: list[Row] = []
        self.judged: list[tuple[int, Event]] = []
        #: Whether `judged` begins where the run does.
        self.complete = True
        self.first = self.count = 0
        self._switches: list[tuple[int, int]] = []  # tick, schedule
        self._kept = 0

    def follow(self, count: int, read: Read) -> int:
        """Goes to a position with `count` events before it. Returns how many rows at the beginning
        are as they were: none after a jump, behind which only the last events are known."""
        self._kept = len(self.rows)
        edge = self.first + MOST // 4 if self.first else 0  # some are to be seen before it
        if count < edge or count > self.count + MOST:
            self._jump(max(count - MOST, 0), read)
        if count > self.count:
            for record in read(self.count, None):
                self._add(self.count, decode(record))
                self.count += 1
        if len(self.rows) > 2 * MOST:
            del self.rows[:-MOST]
            self.first, self._kept = self.rows[0].first, 0
        return self._kept

    def _jump(self, first: int, read: Read) -> None:
        """Knows only events from number `first` on, but for what tells what others mean."""
        self.rows, self.judged, self._switches = [], [], []
        self.first = self.count = first
        self.complete, self._kept = first == 0, 0
        for record in read(0, _TELLING_OTHERS) if first else ():
            event = decode(record)
            self.names.observe(event)
            if isinstance(event, ScheduleSwitch):
                self._switches.append((event.tick, event.schedule))

    def schedule_at(self, tick: int) -> tuple[int, int]:
        """The schedule in force at `tick`, and when its first major frame began."""
        at = bisect_right(self._switches, tick, key=lambda each: each[0]) - 1
        return self._switches[at][::-1] if at >= 0 else (0, 0)

    def _add(self, number: int, event: Event) -> None:
        names = self.names
        if isinstance(event, events.Audit) and self.rows:  # of the verdict right before
            names.observe(event)
            self._kept = min(self._kept, len(self.rows) - 1)
            row, note = self.rows[-1], text.describe(event, names)
            self.rows[-1] = replace(row, last=number, notes=(*row.notes, note))
            return
        taken = self._take(event) if isinstance(event, Hypercall) else []
        verdicts = [each for row in taken for each in row.verdicts]
        if isinstance(event, Verdict):
            verdicts = [(number, event)]
        if isinstance(event, Verdict | PolicySwap):
            self.judged.append((number, event))
        if isinstance(event, ScheduleSwitch):
            self._switches.append((event.tick, event.schedule))
        row = self._row(number, event, taken, verdicts)
        names.observe(event)
        self.rows.append(row)

    def _row(
        self, number: int, event: Event, taken: list[Row], verdicts: list[tuple[int, Verdict]]
    ) -> Row:
        names, plain = self.names, [verdict for _, verdict in verdicts]
        return Row(
            first=min([number, *(row.first for row in taken)]),
            last=number,
            event=event,
            verdicts=tuple(verdicts),
            mark=_mark(event, plain),
            time=names.ms(event.tick),
            who=names.partition(event.source if isinstance(event, Verdict) else event.partition),
            what=_what(event, plain, names),
            notes=tuple(note for row in taken for note in row.notes),
        )

    def _take(self, event: Hypercall) -> list[Row]:
        """Takes away the rows of verdicts on the hypercall's way. Others of its tick stay: the
        kernel notes whom it woke between them."""
        at = len(self.rows)
        while at and self.rows[at - 1].tick == event.tick:
            at -= 1
        last = self.rows[at:]
        taken = [row for row in last if _on_way(row, event)]
        if taken:
            self.rows[at:] = [row for row in last if not _on_way(row, event)]
            self._kept = min(self._kept, at)
        return taken


def _on_way(row: Row, event: Hypercall) -> bool:
    return isinstance(row.event, Verdict) and row.event.source == event.partition


def _mark(event: Event, verdicts: Sequence[Verdict]) -> Mark:
    if isinstance(event, events.Fault):
        return "fault"
    if any(not each.granted for each in verdicts):
        return "denied"
    if verdicts:
        return "granted"
    if isinstance(event, Hypercall) and event.code in REFUSED:
        return "refused"
    return ""


def _what(event: Event, verdicts: Sequence[Verdict], names: Names) -> str:
    """The row in short: `port_write temperature = OK  telemetry.Report {sequence: 1}`."""
    if isinstance(event, Verdict):
        return f"{text.judged(event, names)}  {text.why(event, names)}"
    if not isinstance(event, Hypercall | Resume):
        kind, _, told = text.describe(event, names).partition(" ")
        return f"{kind} {told.lstrip()}"
    if event.number is None:
        return "resume"
    name = text.hypercall_name(event.number).removeprefix("khs_")
    if isinstance(event, Hypercall):
        name += _object(event, names)
    answer = "…" if event.code is None else text.code(event.code)
    told = f"{name}{' resumes' if isinstance(event, Resume) else ''} = {answer}"
    if not verdicts:
        return told
    policy = names.policy_of(verdicts[0])
    message = policy.message(next((each for each in verdicts if not each.granted), verdicts[0]))
    more = f" ×{len(verdicts)}" if len(verdicts) > 1 else ""
    return f"{told}  {message}{more}"


def _object(event: Hypercall, names: Names) -> str:
    """The first argument where it names something: ` temperature`."""
    row = HYPERCALLS[event.number] if event.number < len(HYPERCALLS) else None
    if (
        row is None
        or not row.arguments
        or not event.arguments
        or row.arguments[0].name not in _TELLING
    ):
        return ""
    return " " + text.argument(row.arguments[0], event.arguments[0], event, names).partition("=")[2]


def matches(row: Row, words: Sequence[str]) -> bool:
    """Whether a row has every word; one that begins with `-` it must not have. The names of marks
    are not looked for in texts: `denied` means what was denied, not what speaks of it."""
    for word in words:
        wanted = word.removeprefix("-") or word
        found = row.mark == wanted if wanted in MARKS else wanted in row.searched
        if found == (word != wanted):
            return False
    return True


class Filtered:
    """The rows that a filter lets pass."""

    def __init__(self) -> None:
        self._rows: Sequence[Row] = ()
        self._places: list[int] = []
        self.words: tuple[str, ...] = ()

    def ask(self, wanted: str) -> None:
        """Another filter: words that must all be there, `-word` that must not."""
        self.words = tuple(wanted.casefold().split())
        self.follow(self._rows, 0)

    def follow(self, rows: Sequence[Row], kept: int) -> None:
        """Other rows, of which so many at the beginning are as they were."""
        seen = min(len(self._rows), kept)
        del self._places[bisect_left(self._places, seen) :]
        self._rows = rows
        more = range(seen, len(rows))
        self._places += [place for place in more if matches(rows[place], self.words)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, at: int) -> Row:
        return self._rows[self._places[at]]

    def at(self, position: Position) -> int:
        """The last one before a position, -1 if there is none."""
        tick = position.tick + position.settled
        return bisect_left(self._places, tick, key=lambda place: self._rows[place].tick) - 1
