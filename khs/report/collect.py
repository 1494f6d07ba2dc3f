"""What a report tells, out of a trace's records; bounded whatever is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from khs.report.timeline import Drawn, Room
from khs.trace import events, text
from khs.trace.console import ConsoleLines
from khs.trace.events import Event
from khs.trace.file import Header
from khs.trace.kinds import Reason
from khs.trace.names import Names
from khs.trace.outline import Outline
from khs.trace.summary import Summary
from khs.trace.timeline import Timeline
from khs.trace.verdicts import Verdicts

#: Partitions and kinds of interaction that are told; events of health monitor, policies and module
#: and console lines, of a partition and of all. Of more it is told how many there were.
PARTITIONS, INTERACTIONS = 256, 500
OF_ONE, OF_ALL = 200, 1000

Interaction = tuple[str, str, str, str]  # from, to, kind of event, method
Answers = list[int]  # granted, denied


@dataclass
class Partition:
    """`ticks`: its own clock, what it was charged."""

    name: str
    class_name: str
    mode: str = "idle"
    ticks: int = 0
    hypercalls: int = 0
    granted: int = 0
    denied: int = 0
    faults: int = 0
    health: int = 0
    starts: int = 0


@dataclass
class Collected:
    """A run boiled down. `rules`: by number of policy and of rule, verdicts that it decided;
    `undecided`: verdicts that no rule gave, by reason. `noted`: time in ms, whose, kind, words."""

    header: Header
    names: Names
    summary: Summary
    drawn: Drawn
    partitions: list[Partition]
    outlined: bool
    interactions: dict[Interaction, Answers] = field(default_factory=dict)
    more_interactions: int = 0
    rules: dict[tuple[int, int], Answers] = field(default_factory=dict)
    undecided: Counter[str] = field(default_factory=Counter)
    in_force: set[int] = field(default_factory=lambda: {0})
    noted: list[tuple[str, str, str, str]] = field(default_factory=list)
    room_noted: Room = field(default_factory=lambda: Room(OF_ONE, OF_ALL))
    lines: list[str] = field(default_factory=list)
    room_lines: Room = field(default_factory=lambda: Room(OF_ONE, OF_ALL))
    events: int = 0
    granted: int = 0
    denied: int = 0
    frames: int = 0


def collect(header: Header, rows: Iterable[tuple[bytes, Event]]) -> Collected:
    """Boils a trace down: its records, and the events in them."""
    collector = _Collector(header)
    for record, event in rows:
        collector.add(record, event)
    return collector.close()


class _Collector:
    def __init__(self, header: Header) -> None:
        self._names = names = Names.from_header(header)
        self._outline = Outline.from_header(header)
        self._timeline = Timeline(self._outline)
        self._verdicts = Verdicts(names)
        partitions = [
            Partition(name, _class(header, name)) for name in names.partitions[:PARTITIONS]
        ]
        self.found = Collected(
            header,
            names,
            Summary(Names.from_header(header)),
            Drawn.for_partitions(len(partitions), names.clock_hz),
            partitions,
            bool(self._outline.schedules),
        )
        self._lines = ConsoleLines(names, self._line)
        self._writer: int | None = None  # whose line ends

    def add(self, record: bytes, event: Event) -> None:
        found = self.found
        found.events += 1
        found.drawn.end = max(found.drawn.end, event.tick)
        for slot in self._timeline.before(event):
            found.drawn.window(slot)
            found.frames += slot.frames if slot.partition is None else 0
        found.summary(record)
        own = self._partition(event.partition)
        if own is not None:
            own.ticks = max(own.ticks, event.local)
        self._take(event, own or Partition("", ""))
        self._names.observe(event)

    def close(self) -> Collected:
        drawn = self.found.drawn
        stopped = any(isinstance(note, events.Stop) for note in self.found.summary.notes)
        for slot in () if stopped else self._timeline.rest():
            drawn.window(slot)
        self._lines.close()
        return self.found

    def _take(self, event: Event, own: Partition) -> None:
        match event:
            case events.Hypercall():
                own.hypercalls += 1
                self._hypercall(event)
            case events.Verdict():
                self._verdict(event)
            case events.Fault():
                own.faults += 1
                self._note(event)
            case events.Health():
                own.health += 1
                self._note(event)
            case events.ModeChange():
                own.mode = event.mode.word
            case events.Start():
                own.starts += 1
                if event.condition:  # not that of the boot
                    self._note(event)
            case events.Console():
                self._writer = event.partition
                self._lines.add(event)
            case events.PolicySwap():
                if event.kept is not None and event.policy is not None:
                    self.found.in_force.add(event.policy)
                self._note(event)
            case events.ScheduleSwitch() | events.Stop():
                self._note(event)
            case _:
                pass

    def _hypercall(self, event: events.Hypercall) -> None:
        judged = self._verdicts.of(event)
        end = event.tick + self._outline.costs.of(event, len(judged))
        denied = any(not each.verdict.granted for each in judged)
        self.found.drawn.call(event, end, denied)

    def _verdict(self, event: events.Verdict) -> None:
        found = self.found
        judged = self._verdicts.judged(event)
        found.granted += event.granted
        found.denied += not event.granted
        source = self._partition(event.source)
        if source is not None:
            source.granted += event.granted
            source.denied += not event.granted
        number, method = self._names.judged_by(event)
        target = self._names.partition(event.destination)
        if event.destination_class is None:
            target = "security monitor"
        key = (self._names.partition(event.source), target, event.event.word, method)
        if key in found.interactions or len(found.interactions) < INTERACTIONS:
            found.interactions.setdefault(key, [0, 0])[not event.granted] += 1
        else:
            found.more_interactions += 1
        self._covered(event, number)
        if not event.granted:
            words = f"{text.judged(event, self._names)}: {judged.why}"
            found.drawn.mark(event.tick, event.partition, "denied", words)

    def _covered(self, event: events.Verdict, policy: int | None) -> None:
        """Which rule decided, if the trace knows it."""
        found = self.found
        rule = event.rule if event.reason in (Reason.RULES, Reason.ERROR) else None
        if rule is None or policy is None:
            found.undecided["rules" if rule is not None else event.reason.word] += 1
        elif self._names.policy_of(event).rule(rule) is not None:
            found.rules.setdefault((policy, rule), [0, 0])[not event.granted] += 1

    def _note(self, event: Event) -> None:
        found = self.found
        kind, _, words = text.describe(event, self._names).partition(" ")
        found.drawn.mark(event.tick, event.partition, kind, words.strip())
        if kind == "fault":  # told each once, by the summary
            return
        if found.room_noted.take(event.partition):
            whose = self._names.partition(event.partition)
            found.noted.append((self._names.ms(event.tick), whose, kind, words.strip()))

    def _line(self, line: str) -> None:
        if self.found.room_lines.take(self._writer):
            self.found.lines.append(line)

    def _partition(self, number: int | None) -> Partition | None:
        known = number is not None and number < len(self.found.partitions)
        return self.found.partitions[number] if known and number is not None else None


def _class(header: Header, name: str) -> str:
    about: object = header
    for key in ("manifest", "partitions", name, "class"):
        about = about.get(key) if isinstance(about, dict) else None
    return about if isinstance(about, str) else ""
