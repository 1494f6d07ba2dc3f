"""Who may do what to whom: everything that a policy can be asked about, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kss.events import Kind
from kss.layout import Endpoint, EntityClass, MessageType, Method
from kss.nearest import SELECTORS
from kss.selectors import qualified_method
from kss.tree import Binding, Choice, Condition, Item, Match, PolicyTree

# Selector -> what an event has there; `src` and `dst` are class indices. Without a message there is
# nothing but these two.
Facts: TypeAlias = Mapping[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of event and what it is about: a method of an endpoint (or security interface) of
    `server`, or the start of one."""

    kind: Kind
    server: EntityClass
    endpoint: Endpoint | None = None
    method: Method | None = None

    @property
    def message(self) -> MessageType | None:
        direction = self.kind.direction
        return self.method.message(direction) if self.method and direction is not None else None

    @property
    def method_name(self) -> str:
        """As policies call it, "" for a start."""
        if self.endpoint is None or self.method is None:
            return ""
        if self.kind is Kind.SECURITY:
            return qualified_method(self.endpoint, self.method)
        return self.method.name

    @property
    def endpoint_name(self) -> str:
        """ "" for a start and for security interfaces."""
        return "" if self.endpoint is None or self.kind is Kind.SECURITY else self.endpoint.name


@dataclass(frozen=True, slots=True)
class Interaction:
    """An operation between two classes. `peer` is the other side: who asks for it, or gets the
    answer; None for security events."""

    operation: Operation
    peer: EntityClass | None

    @property
    def kind(self) -> Kind:
        return self.operation.kind

    @property
    def src(self) -> EntityClass:
        if self.kind.server_is_source:
            return self.operation.server
        assert self.peer is not None
        return self.peer

    @property
    def dst(self) -> EntityClass | None:
        return self.peer if self.kind.server_is_source else self.operation.server

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Kind, src, dst, endpoint, method: what it is called in any policy."""
        dst, asked = self.dst, self.operation
        names = (self.src.name, dst.name if dst else "", asked.endpoint_name, asked.method_name)
        return (self.kind.name.lower(), *names)

    def json(self) -> dict[str, str | None]:
        kind, src, dst, endpoint, method = self.key
        names = {"kind": kind, "src": src, "dst": dst or None}
        return {**names, "endpoint": endpoint or None, "method": method or None}

    def __str__(self) -> str:
        kind, src, dst, endpoint, method = self.key
        what = ".".join(name for name in (endpoint, method) if name)
        return " ".join(word for word in (kind, src, dst and f"-> {dst}", what) if word)


def facts(interaction: Interaction) -> Facts:
    """The event as selectors see it."""
    dst, asked = interaction.dst, interaction.operation
    found: dict[str, int | str | None] = {"src": interaction.src.index}
    found["dst"] = dst.index if dst else None
    if asked.endpoint is not None:
        found["interface"] = asked.endpoint.interface.name
        found["component"] = asked.endpoint.component
        found["endpoint"] = asked.endpoint.name
        found["method"] = asked.method_name
    return found


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether every selector agrees."""
    for name in SELECTORS:
        wanted = getattr(condition, name)
        if wanted is not None and name in facts and wanted != facts[name]:
            return False
    return True


def operations(policy: PolicyTree) -> Iterator[Operation]:
    """By kind, then by server, endpoint and method."""
    for kind in Kind:
        for server in policy.classes:
            if kind is Kind.EXECUTE:
                yield Operation(kind, server)
                continue
            for endpoint in server.security if kind is Kind.SECURITY else server.endpoints:
                for method in endpoint.interface.methods:
                    yield Operation(kind, server, endpoint, method)


class Bindings:
    """The bindings of a policy, found by operation."""

    def __init__(self, policy: PolicyTree) -> None:
        self._found: dict[tuple[Kind, int | None, str | None], list[int]] = defaultdict(list)
        self._bindings = policy.bindings
        for number, binding in enumerate(policy.bindings):
            asked = binding.condition
            server = asked.src if binding.kind.server_is_source else asked.dst
            self._found[binding.kind, server, asked.method].append(number)

    def of(self, operation: Operation) -> tuple[Binding, ...]:
        """Those that may be for an operation, in order."""
        servers = (operation.server.index, None)
        methods = dict.fromkeys((operation.method_name or None, None))
        numbers = [
            number
            for server in servers
            for method in methods
            for number in self._found.get((operation.kind, server, method), ())
        ]
        return tuple(self._bindings[number] for number in sorted(numbers))


def peers(binding: Binding) -> Iterator[int]:
    """The classes that a binding asks of the peer, in its own condition or deeper."""
    at = "dst" if binding.kind.server_is_source else "src"

    def within(condition: Condition, items: tuple[Item, ...]) -> Iterator[int]:
        wanted = getattr(condition, at)
        if wanted is not None:
            yield wanted
        for item in items:
            if isinstance(item, Match):
                yield from within(item.condition, item.items)
            elif isinstance(item, Choice):
                for branch in (*(each.items for each in item.branches), item.default or ()):
                    yield from within(Condition(), branch)

    return within(binding.condition, binding.items)
