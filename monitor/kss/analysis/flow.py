"""`kss flow`: paths along which data can pass.

Data passes with every event from its source to its destination: with a request to the server, with
a response or error to the client. An answer needs a call before it that was granted. The kernel
keeps partitions apart and carries nothing from one to another, so that no path leads through it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TypeAlias

from kss.analysis.decide import Verdict
from kss.analysis.guards import UnknownNameError
from kss.analysis.paths import paths, reached
from kss.analysis.query import Query, Row
from kss.analysis.system import Link, System
from kss.boot import KERNEL
from kss.errors import did_you_mean
from kss.events import Kind
from kss.tree import PolicyTree

_ORDER = (Verdict.GRANTED, Verdict.CONDITIONAL, Verdict.UNKNOWN)
_ANSWERS = (Kind.RESPONSE, Kind.ERROR)
_Call: TypeAlias = tuple[str, str, str, str]  # client, server, endpoint, method


@dataclass(frozen=True, slots=True)
class Way:
    """How data passes a step: with an event that may be granted (`row`), over a link of the system;
    without `row` nobody judges it."""

    row: Row | None
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """From one class or process to the next, in any of these ways."""

    source: str
    target: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """`paths` shortest first, not all of them if there are `more`; `reached` is all that data from
    the start can get to, nearest first."""

    paths: tuple[tuple[Step, ...], ...]
    more: bool
    reached: tuple[str, ...]


class Flows:
    """The ways of one policy: between classes, or in a system between its processes."""

    def __init__(self, policy: PolicyTree, system: System | None = None) -> None:
        # Another policy may have left what this one leads to never.
        self.query = Query(policy, any_state=True)
        self._nodes = list(system.processes) if system else [each.name for each in policy.classes]
        self._what = "process" if system else "class"
        #: Class -> what is not known of it; the kernel carries nothing on.
        self.stubs = {name: why for name, why in self.query.stubs.items() if name != KERNEL}
        self._ways: dict[tuple[str, str], list[Way]] = defaultdict(list)
        possible = list(_possible(self.query))
        if system is None:
            for row in possible:
                source, target = row.interaction.key[1:3]
                self._ways[source, target].append(Way(row))
        else:
            _must_know(policy, system)
            for link in system.links:
                for source, target, way in _linked(link, system, possible):
                    self._ways[source, target].append(way)

    def between(self, start: str, end: str, most: int) -> Answer:
        """At most `most` paths. Raises UnknownNameError."""
        for name in (start, end):
            if name not in self._nodes:
                help = did_you_mean(name, self._nodes)
                raise UnknownNameError(f"there is no {self._what} {name}\n  help: {help}")
        if start == end:
            raise UnknownNameError(f"{start} is both ends; name two of the {self._what} names")
        graph = self._graph(start, end)
        found = list(islice(paths(graph, start, end), most + 1))
        steps = tuple(tuple(self._steps(path)) for path in found[:most])
        return Answer(steps, len(found) > most, tuple(reached(graph, start)))

    def _graph(self, start: str, end: str) -> dict[str, list[str]]:
        graph: dict[str, list[str]] = {name: [] for name in self._nodes}
        for source, target in self._ways:
            through = source == KERNEL and start != KERNEL
            if source != target and not through:
                graph[source].append(target)
        return graph

    def _steps(self, path: Iterable[str]) -> Iterator[Step]:
        for source, target in pairwise(path):
            yield Step(source, target, tuple(self._ways[source, target]))


def _possible(query: Query) -> Iterator[Row]:
    """Requests, and answers to them, that are granted in some case, or of a stub and not known;
    those that always are first."""
    rows = list(query.rows(verdicts=[each for each in Verdict if each is not Verdict.DENIED]))
    asked = {_call(row) for row in rows if row.interaction.kind is Kind.REQUEST}
    pairs = {(client, server) for client, server, _, _ in asked}
    for row in sorted(rows, key=lambda row: _ORDER.index(row.verdict)):
        call = _call(row)
        known = call in asked or (row.verdict is Verdict.UNKNOWN and call[:2] in pairs)
        if row.interaction.kind is Kind.REQUEST or (row.interaction.kind in _ANSWERS and known):
            yield row


def _call(row: Row) -> _Call:
    _, src, dst, endpoint, method = row.interaction.key
    client, server = (dst, src) if row.interaction.kind in _ANSWERS else (src, dst)
    return (client, server, endpoint, method)


def _linked(link: Link, system: System, possible: Iterable[Row]) -> Iterator[tuple[str, str, Way]]:
    """What passes over a link."""
    if link.endpoint is None:
        yield link.source, link.target, Way(None, link)
        return
    ends = (system.processes[link.source], system.processes[link.target])
    for row in possible:
        *classes, endpoint, method = _call(row)
        if tuple(classes) != ends or not _fits(row, endpoint, link.endpoint):
            continue
        if link.method is not None and not _fits(row, method, link.method):
            continue
        if row.interaction.kind is Kind.REQUEST:
            yield link.source, link.target, Way(row, link)
        elif link.answers:
            yield link.target, link.source, Way(row, link)


def _fits(row: Row, name: str, wanted: str) -> bool:
    """Whether a row is for a name; rules for a stub may leave it open."""
    return name == wanted or (row.verdict is Verdict.UNKNOWN and not name)


def _must_know(policy: PolicyTree, system: System) -> None:
    """Every class of the system, and every endpoint and method that a link names."""
    known = {entity.name: entity for entity in policy.classes}
    for process, name in system.processes.items():
        if name not in known:
            help = did_you_mean(name, known)
            raise UnknownNameError(f"process {process}: the policy has no class {name}; {help}")
    for link in system.links:
        server = known[system.processes[link.target]]
        names = [each.name for each in server.endpoints]
        if link.endpoint is not None and link.endpoint not in names and not server.open:
            help = did_you_mean(link.endpoint, names)
            message = f"{link.name}: {server.name} has no endpoint {link.endpoint}; {help}"
            raise UnknownNameError(message)
        found = server.endpoint(link.endpoint or "")
        if not found or (server.open and not found.interface.methods):
            continue
        if link.method is not None and found.interface.method(link.method) is None:
            help = did_you_mean(link.method, [each.name for each in found.interface.methods])
            message = f"{link.name}: {found.interface.name} has no method {link.method}; {help}"
            raise UnknownNameError(message)
