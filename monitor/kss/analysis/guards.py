"""The guards of a policy, interaction by interaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kss.analysis.fold import Folder
from kss.analysis.guard import Guard
from kss.analysis.interactions import (
    Bindings,
    Interaction,
    Operation,
    facts,
    operations,
    peers,
)
from kss.analysis.unknown import unknown
from kss.errors import KssError, did_you_mean
from kss.events import Kind
from kss.layout import EntityClass
from kss.tree import PolicyTree


class UnknownNameError(KssError):
    """A question names what the policy does not have."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which interactions are asked for; what is None may be anything."""

    kind: Kind | None = None
    src: str | None = None
    dst: str | None = None
    endpoint: str | None = None
    method: str | None = None

    def check(self, policy: PolicyTree) -> None:
        """Raises UnknownNameError for a name that is nowhere in the policy."""
        known = {"class": [entity.name for entity in policy.classes]}
        asked = [*operations(policy), *(each.operation for each in unknown(policy))]
        known["endpoint"] = [each.endpoint_name for each in asked if each.endpoint_name]
        known["method"] = [each.method_name for each in asked if each.method_name]
        given = (("class", self.src), ("class", self.dst))
        for what, name in (*given, ("endpoint", self.endpoint), ("method", self.method)):
            if name is not None and name not in known[what]:
                help = did_you_mean(name, known[what])
                raise UnknownNameError(f"the policy has no {what} {name}\n  help: {help}")

    def operation(self, operation: Operation) -> bool:
        server = self.src if operation.kind.server_is_source else self.dst
        return (
            self.kind in (None, operation.kind)
            and server in (None, operation.server.name)
            and self.endpoint in (None, operation.endpoint_name)
            and self.method in (None, operation.method_name)
            and (self.dst is None or operation.kind is not Kind.SECURITY)
        )

    def peer(self, operation: Operation, entity: EntityClass) -> bool:
        return (self.dst if operation.kind.server_is_source else self.src) in (None, entity.name)


class Guards:
    """Makes guards; peers that no condition names share one."""

    def __init__(self, policy: PolicyTree) -> None:
        self.policy = policy
        self._bindings = Bindings(policy)
        self._folder = Folder(policy)

    def all(self, wanted: Wanted | None = None) -> Iterator[tuple[Interaction, Guard]]:
        """Every interaction that is wanted, by kind, server, endpoint, method and peer. Guards that
        are the same object are those of peers that the policy does not tell apart."""
        asked = wanted or Wanted()
        for operation in operations(self.policy):
            if asked.operation(operation):
                yield from self._of(operation, asked)

    def _of(self, operation: Operation, wanted: Wanted) -> Iterator[tuple[Interaction, Guard]]:
        bindings = self._bindings.of(operation)
        if operation.kind is Kind.SECURITY:
            alone = Interaction(operation, None)
            yield alone, self._folder.guard(bindings, facts(alone))
            return
        named = {peer for binding in bindings for peer in peers(binding)}
        nobody = EntityClass("", -1, ())
        shared: Guard | None = None
        for entity in self.policy.classes:
            if not wanted.peer(operation, entity):
                continue
            interaction = Interaction(operation, entity)
            if entity.index in named:
                yield interaction, self._folder.guard(bindings, facts(interaction))
                continue
            if shared is None:
                shared = self._folder.guard(bindings, facts(replace(interaction, peer=nobody)))
            yield interaction, shared
