"""Bindings to the decision table.

A row belongs to an operation of a server class and a kind of event (or to a started class); its
columns are the classes of the peer. What a row depends on is found in two steps: conditions on
everything but the peer are resolved once; peers that no remaining condition names are all alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from kss.binary import (
    MAX_ENTRIES,
    NONE,
    ClassRecord,
    EndpointRecord,
    EntryKind,
    EntryRecord,
    Image,
    OperationRecord,
)
from kss.codegen.assembler import TooComplexError
from kss.codegen.items import Compiled, FlatChoice, FlatItem, Items
from kss.codegen.layouts import Layouts
from kss.events import Kind
from kss.layout import Direction, Endpoint, EntityClass, Method
from kss.tree import Binding, Choice, Condition, Item, Match, PolicyTree

Index: TypeAlias = tuple[Kind, int | None, str | None]  # of bindings: kind, server, method


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a condition may ask about an event, but for the peer."""

    kind: Kind
    server: int
    interface: str | None = None
    component: str | None = None
    endpoint: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Items that apply if the peer's class is `peer`."""

    peer: int
    items: tuple[Residual, ...]


@dataclass(frozen=True, slots=True)
class ResidualChoice:
    choice: Choice
    branches: tuple[tuple[Residual, ...], ...]
    default: tuple[Residual, ...] | None


Residual: TypeAlias = FlatItem | Peer | ResidualChoice


def peer_of(condition: Condition, kind: Kind) -> int | None:
    """The class the condition asks of the peer: of the other side than the server's (or started)
    class; for security events, which have one side, none."""
    if kind is Kind.SECURITY:
        return None
    return condition.dst if kind.server_is_source else condition.src


def server_of(condition: Condition, kind: Kind) -> int | None:
    return condition.src if kind.server_is_source else condition.dst


def holds(condition: Condition, subject: Subject) -> bool:
    """Whether all selectors but the peer's agree."""
    server = server_of(condition, subject.kind)
    asked = (condition.interface, condition.component, condition.endpoint, condition.method)
    given = (subject.interface, subject.component, subject.endpoint, subject.method)
    if subject.kind is Kind.SECURITY and condition.dst is not None:
        return False
    return server in (None, subject.server) and all(
        wanted is None or wanted == has for wanted, has in zip(asked, given, strict=True)
    )


def residual(items: tuple[Item, ...], subject: Subject) -> tuple[Residual, ...]:
    """The items that may apply, with only conditions on the peer left."""
    found: list[Residual] = []
    for item in items:
        if isinstance(item, Match):
            found += narrowed(item.condition, item.items, subject)
        elif isinstance(item, Choice):
            branches = tuple(residual(branch.items, subject) for branch in item.branches)
            default = None if item.default is None else residual(item.default, subject)
            found.append(ResidualChoice(item, branches, default))
        else:
            found.append(item)
    return tuple(found)


def narrowed(
    condition: Condition, items: tuple[Item, ...], subject: Subject
) -> tuple[Residual, ...]:
    if not holds(condition, subject):
        return ()
    inner = residual(items, subject)
    peer = peer_of(condition, subject.kind)
    return inner if peer is None or not inner else (Peer(peer, inner),)


def peers_in(items: tuple[Residual, ...]) -> Iterator[int]:
    for item in items:
        if isinstance(item, Peer):
            yield item.peer
            yield from peers_in(item.items)
        elif isinstance(item, ResidualChoice):
            for branch in (*item.branches, item.default or ()):
                yield from peers_in(branch)


def flat(items: tuple[Residual, ...], peer: int | None) -> tuple[FlatItem, ...]:
    """The items that apply for a peer; None is one that no condition names."""
    found: list[FlatItem] = []
    for item in items:
        if isinstance(item, Peer):
            if item.peer == peer:
                found += flat(item.items, peer)
        elif isinstance(item, ResidualChoice):
            branches = tuple(flat(branch, peer) for branch in item.branches)
            default = None if item.default is None else flat(item.default, peer)
            found.append(FlatChoice(item.choice, branches, default))
        else:
            found.append(item)
    return tuple(found)


def key(items: tuple[Residual, ...]) -> Hashable:
    """Equal for equal items: sites name rules, statements and choices uniquely."""
    return tuple(_key(item) for item in items)


def _key(item: Residual) -> Hashable:
    match item:
        case Peer(peer, items):
            return ("peer", peer, key(items))
        case ResidualChoice(choice, branches, default) | FlatChoice(choice, branches, default):
            last = None if default is None else key(default)
            return (choice.site, tuple(key(branch) for branch in branches), last)
        case _:
            return item.site


class Decisions:
    """Fills the tables of classes, endpoints, operations, rows, cells and entries."""

    def __init__(self, tree: PolicyTree, items: Items, layouts: Layouts, image: Image) -> None:
        self._tree = tree
        self._items = items
        self._layouts = layouts
        self._image = image
        self._rows: dict[Hashable, int] = {}
        self._same_rows: dict[tuple[int, ...], int] = {}
        self._entries: dict[Hashable, int] = {}
        self._same_entries: dict[Compiled, int] = {}
        self._bindings: dict[Index, list[tuple[int, Binding]]] = defaultdict(list)
        for order, binding in enumerate(tree.bindings):
            server = server_of(binding.condition, binding.kind)
            self._bindings[binding.kind, server, binding.condition.method].append((order, binding))

    def fill(self, class_hash: dict[str, int]) -> None:
        for entity in self._tree.classes:
            first = len(self._image.endpoints)
            row = self._row(Subject(Kind.EXECUTE, entity.index))
            for endpoint in entity.endpoints:
                self._endpoint(entity, endpoint)
            for endpoint in entity.security:
                self._security(entity, endpoint)
            counts = (len(entity.endpoints), len(entity.security))
            record = ClassRecord(class_hash[entity.name], first, *counts, row)
            self._image.classes.append(record)

    def _endpoint(self, entity: EntityClass, endpoint: Endpoint) -> None:
        image, interface = self._image, endpoint.interface
        methods = interface.methods
        image.endpoints.append(EndpointRecord(len(image.operations), len(methods)))
        for method in methods:
            types = [self._layouts.number(method.message(direction)) for direction in Direction]
            rows = [
                self._row(Subject(kind, entity.index, *_names(endpoint), method.name))
                for kind in (Kind.REQUEST, Kind.RESPONSE, Kind.ERROR)
            ]
            image.operations.append(OperationRecord(*types, *rows))

    def _security(self, entity: EntityClass, endpoint: Endpoint) -> None:
        image, methods = self._image, endpoint.interface.methods
        image.endpoints.append(EndpointRecord(len(image.operations), len(methods)))
        for method in methods:
            name = _qualified(endpoint, method)
            names = (endpoint.interface.name, endpoint.component, None)
            row = self._row(Subject(Kind.SECURITY, entity.index, *names, name))
            kind = self._layouts.number(method.request)
            image.operations.append(OperationRecord(kind, NONE, NONE, row, NONE, NONE))

    def _row(self, subject: Subject) -> int:
        """The number of the subject's row."""
        found = residual_of(self._candidates(subject), subject)
        row_key = key(found)
        if row_key not in self._rows:
            cells = [self._entry(flat(found, None))] * len(self._tree.classes)
            for peer in sorted(set(peers_in(found))):
                cells[peer] = self._entry(flat(found, peer))
            self._rows[row_key] = self._row_of(tuple(cells))
        return self._rows[row_key]

    def _candidates(self, subject: Subject) -> list[Binding]:
        """Bindings of the kind that name the server and the method or none, in order."""
        servers, methods = {subject.server, None}, {subject.method, None}
        keys = [(subject.kind, server, method) for server in servers for method in methods]
        found = [pair for key in keys for pair in self._bindings.get(key, ())]
        return [binding for _, binding in sorted(found, key=lambda pair: pair[0])]

    def _row_of(self, cells: tuple[int, ...]) -> int:
        image = self._image
        if cells not in self._same_rows:
            self._same_rows[cells] = len(image.rows)
            image.rows.append(max((image.entries[cell].extent for cell in cells), default=0))
            image.cells.extend(cells)
        return self._same_rows[cells]

    def _entry(self, items: tuple[FlatItem, ...]) -> int:
        entry_key = key(items)
        if entry_key not in self._entries:
            compiled = self._items.compile(items)
            if compiled not in self._same_entries:
                self._same_entries[compiled] = len(self._image.entries)
                self._append(compiled)
            self._entries[entry_key] = self._same_entries[compiled]
        return self._entries[entry_key]

    def _append(self, compiled: Compiled) -> None:
        image = self._image
        if len(image.entries) == MAX_ENTRIES:
            message = f"the policy has more than {MAX_ENTRIES} combinations of rules"
            raise TooComplexError(f"{message}: let fewer bindings depend on both classes")
        image.max_calls = max(image.max_calls, compiled.most_calls)
        image.max_writes = max(image.max_writes, compiled.writes)
        if compiled.kind is EntryKind.DEFAULT:
            image.entries.append(EntryRecord(compiled.kind))
        elif compiled.kind is EntryKind.PROGRAM:
            shape = (len(image.code), len(compiled.code), 0, compiled.extent, compiled.registers)
            rest = (compiled.notes, compiled.object)
            image.entries.append(EntryRecord(compiled.kind, *shape, *rest))
            image.max_notes = max(image.max_notes, compiled.notes)
            image.code.extend(compiled.code)
        else:
            calls = compiled.calls
            denied = next((call.rule for call in calls if not call.result), None)
            rule = calls[-1].rule if denied is None else denied
            image.entries.append(EntryRecord(compiled.kind, len(image.calls), len(calls), rule))
            image.calls.extend(calls)


def residual_of(bindings: list[Binding], subject: Subject) -> tuple[Residual, ...]:
    return tuple(item for b in bindings for item in narrowed(b.condition, b.items, subject))


def _names(endpoint: Endpoint) -> tuple[str, str | None, str]:
    return (endpoint.interface.name, endpoint.component, endpoint.name)


def _qualified(endpoint: Endpoint, method: Method) -> str:
    return f"{endpoint.name}.{method.name}" if endpoint.name else method.name
