"""The register of rules and what a check needs to work.

A check is a generator of problems with one subject, registered under a stable id:

    @rule("SCHED-004", each=Context.windows)
    def inside_the_frame(c: Context, subject: tuple[ScheduleTable, WindowTable]) -> Problems:
        '''A window ends within its major frame.'''

Its docstring is the rule as docs/configuration.md states it.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from khs.config.document import (
    BAD,
    BoardDocument,
    ChannelTable,
    DeviceTable,
    Document,
    InputTable,
    Keys,
    MessageTable,
    PartitionHealthTable,
    PartitionTable,
    RegionTable,
    RowTable,
    ScheduleTable,
    Table,
    UnreadableError,
    WindowTable,
    times,
)
from khs.config.model import Board
from khs.config.toml import Source
from khs.config.units import Duration
from khs.errors import Finding, Severity

#: Client, servers and endpoint of a call channel.
Call = tuple[str, tuple[str, ...], str | None]
C = TypeVar("C")
T = TypeVar("T")


class Problem(NamedTuple):
    """A breach of a rule at the value of `path`."""

    path: Keys
    message: str
    help: str
    at_key: bool = False


Problems = Iterator[Problem]


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule; without `check`, one that is not checked over a whole document."""

    id: str
    severity: Severity
    text: str
    of: type | None = None  # the context that `check` takes
    check: Callable[[Any], Problems] | None = None


RULES: dict[str, Rule] = {}


def declare(id: str, text: str, severity: Severity = "error") -> str:
    """Registers a rule that is checked elsewhere; returns its id."""
    _register(Rule(id, severity, text))
    return id


def _register(rule: Rule) -> None:
    if rule.id in RULES:
        raise ValueError(f"rule {rule.id} is registered twice")
    RULES[rule.id] = rule


def rule(
    id: str, each: Callable[[C], Iterable[T]], severity: Severity = "error"
) -> Callable[[Callable[[C, T], Problems]], Callable[[C, T], Problems]]:
    """Registers a check that is run once for each subject that `each`, a method of the context
    the check is for, yields. A subject with an unreadable value ends the check of that subject
    alone."""

    def register(check: Callable[[C, T], Problems]) -> Callable[[C, T], Problems]:
        def run(context: C) -> Problems:
            for subject in each(context):
                try:
                    yield from check(context, subject)
                except UnreadableError:
                    continue

        of = CONTEXTS[each.__qualname__.split(".")[0]]
        _register(Rule(id, severity, inspect.getdoc(check) or "", of, run))
        return check

    return register


@dataclass(frozen=True)
class Context:
    """What a check sees: the document as read, the board, and the folder paths start from.

    `detached`: the document came without the files it names, in an archive; they were there when
    it was built.
    """

    document: Document
    source: Source
    root: Path
    board: Board | None
    detached: bool = False

    def whole(self) -> Iterator[Document]:
        """The document, once."""
        yield self.document

    def partitions(self) -> Iterator[PartitionTable]:
        yield from _readable(lambda: self.document.partition.values())

    def schedules(self) -> Iterator[ScheduleTable]:
        yield from _readable(lambda: self.document.schedule.values())

    def windows(self) -> Iterator[tuple[ScheduleTable, WindowTable]]:
        for schedule in self.schedules():
            for window in _readable(lambda schedule=schedule: schedule.windows):  # type: ignore[misc]
                yield schedule, window

    def regions(self) -> Iterator[RegionTable]:
        yield from _readable(lambda: self.document.region.values())

    def channels(self) -> Iterator[ChannelTable]:
        yield from _readable(lambda: self.document.channel.values())

    def inputs(self) -> Iterator[InputTable]:
        yield from _readable(lambda: self.document.input.values())

    def messages(self) -> Iterator[tuple[InputTable, MessageTable]]:
        for table in self.inputs():
            for message in _readable(lambda table=table: table.messages):  # type: ignore[misc]
                yield table, message

    def healths(self) -> Iterator[PartitionHealthTable]:
        yield from _readable(lambda: self.document.health.partition.values())

    def rows(self) -> Iterator[tuple[str, RowTable]]:
        """Every row of the health table that names an error, with its key."""
        yield from _readable(lambda: self.document.health.errors.items())
        for health in self.healths():
            yield from _readable(lambda health=health: health.rows.items())  # type: ignore[misc]

    def times(self) -> Iterator[tuple[Keys, Duration]]:
        """Every time of the virtual clock in the document, and its path."""
        found = times(self.document)
        yield from (each for each in found if each[0] != ("run", "audit_patience"))  # the host's

    def windows_of(self, schedule: ScheduleTable, partition: str) -> list[WindowTable]:
        """The windows of a partition in a schedule, as they are written; UnreadableError if one of
        the schedule does not tell whose it is."""
        found = self._windows[schedule.path]
        if found is None:
            raise UnreadableError("windows")
        return found.get(partition, [])

    @cached_property
    def _windows(self) -> dict[Keys, dict[str, list[WindowTable]] | None]:
        """For each schedule; None for one that cannot be read."""
        found: dict[Keys, dict[str, list[WindowTable]] | None] = {}
        for schedule in self.schedules():
            own: dict[str, list[WindowTable]] = {}
            try:
                for window in schedule.windows:
                    own.setdefault(window.partition, []).append(window)
            except UnreadableError:
                found[schedule.path] = None
            else:
                found[schedule.path] = own
        return found

    @cached_property
    def calls(self) -> dict[Call, ChannelTable]:
        """The first channel for each way from a client to an endpoint."""
        found: dict[Call, ChannelTable] = {}
        for channel in self.channels():
            if readable(channel, "kind", "from_", "to", "endpoint") and channel.kind == "call":
                found.setdefault((channel.from_, channel.to, channel.endpoint), channel)
        return found

    @cached_property
    def tables(self) -> frozenset[Keys]:
        """Paths of the tables of the document that hold something."""
        return frozenset(path[:-1] for path in self.source.marks)

    def ticks(self, time: Duration) -> int:
        """Whole ticks; UnreadableError if the board is unknown or the time not whole (TIME-001)."""
        if self.board is None:
            raise UnreadableError("board")
        ticks, remainder = divmod(time.ns * self.board.clock_hz, 1_000_000_000)
        if remainder:
            raise UnreadableError("time")
        return ticks

    def is_file(self, path: str) -> bool:
        """Is there such a file that can be read, seen from the folder of the document?"""
        try:
            file = self.root / path
            return self.detached or (file.is_file() and os.access(file, os.R_OK))
        except (OSError, ValueError):
            return False

    def is_folder(self, path: str) -> bool:
        """Is there such a folder?"""
        try:
            return self.detached or (self.root / path).is_dir()
        except (OSError, ValueError):
            return False

    def is_blank(self, path: str) -> bool:
        """Holds the file nothing, or nothing but white space? An unreadable one says nothing."""
        try:
            return not (self.detached or (self.root / path).read_bytes().strip())
        except (OSError, ValueError):
            return True

    def written(self, *path: str | int) -> bool:
        """Is the key at `path` in the document, well-formed or not?"""
        return path in self.source.marks


@dataclass(frozen=True)
class BoardContext:
    """What a check of a board file sees."""

    document: BoardDocument
    source: Source

    def whole(self) -> Iterator[BoardDocument]:
        """The document, once."""
        yield self.document

    def devices(self) -> Iterator[DeviceTable]:
        yield from _readable(lambda: self.document.device.values())


CONTEXTS: dict[str, type] = {"Context": Context, "BoardContext": BoardContext}


def _readable(items: Callable[[], Iterable[T]]) -> Iterable[T]:
    try:
        return items()
    except UnreadableError:
        return ()


def readable(table: Table, *names: str) -> bool:
    """Can all these fields be read?"""
    return not any(object.__getattribute__(table, name) is BAD for name in names)


def at(table: Table, *keys: str | int) -> Keys:
    """The path of a key of a table."""
    return (*table.path, *keys)


def finding(source: Source, file: str, rule: Rule, problem: Problem) -> Finding:
    """The finding of a problem, at its place in the sources."""
    mark = source.mark(problem.path)
    if mark is None:
        return Finding(rule.id, rule.severity, file, 1, 1, problem.message, problem.help)
    exact = problem.path in source.marks or isinstance(problem.path[-1], int)  # one for an array
    place = mark.key if problem.at_key or not exact else mark.value
    return Finding(rule.id, rule.severity, *place, problem.message, problem.help)


def run(context: Context | BoardContext, file: str) -> list[Finding]:
    """The findings of every check registered for such a context."""
    return [
        finding(context.source, file, rule, problem)
        for rule in RULES.values()
        if rule.check is not None and rule.of is type(context)
        for problem in rule.check(context)
    ]


def quoted(names: Iterable[str]) -> str:
    """`"a", "b"`, or `none`."""
    return ", ".join(f'"{name}"' for name in names) or "none"


def _differ_in_digits(one: str, other: str) -> bool:
    """Another number is no spelling mistake."""
    return one != other and re.sub("[0-9]+", "0", one) == re.sub("[0-9]+", "0", other)


#: Beyond this, looking for a similar name would take longer than reading the files.
_SIMILAR = 500


def suggest(name: str, known: Iterable[str], noun: str) -> str:
    """What to write instead of an unknown name."""
    names = list(known)
    folded = {other.lower().replace("_", "-"): other for other in reversed(names)}
    word = name.lower().replace("_", "-")
    alike = [other for other in folded if abs(len(other) - len(word)) <= len(word)]
    likely = [other for other in alike[-_SIMILAR:] if not _differ_in_digits(word, other)]
    close = difflib.get_close_matches(word, likely, 1, 0.6)
    listing = f"{noun}: {quoted(names[:16])}" + (", ..." if len(names) > 16 else "")
    return f'did you mean "{folded[close[0]]}"? {listing}' if close else listing
