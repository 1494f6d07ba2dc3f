"""What a policy says of stubs: interactions under names of which nothing is known.

A rule for an endpoint that a missing file would describe says that there is something to be asked.
Whether it is granted cannot be told without the file; to leave it out would look like a denial.
"""

from __future__ import annotations

from collections.abc import Iterator

from kss.analysis.interactions import Interaction, Operation, peers
from kss.events import Kind
from kss.layout import Direction, Endpoint, EntityClass, Interface, Method, make_message
from kss.tree import Binding, Choice, Condition, Evaluate, Item, Match, PolicyTree, Rule

#: Interaction -> the rules that are for it, by site.
Unknown = dict[Interaction, tuple[int, ...]]
_NO_MESSAGE = tuple(make_message(direction, []) for direction in Direction)


def unknown(policy: PolicyTree) -> Unknown:
    """By kind, server and rule; of the names in an interaction those that rules give are there."""
    found: dict[tuple[object, ...], tuple[Interaction, list[int]]] = {}
    stubs = [entity for entity in policy.classes if entity.open]
    for kind in Kind if stubs else ():
        for server in stubs if kind is not Kind.EXECUTE else ():
            for binding in policy.bindings:
                if binding.kind is not kind or not _may_be_for(binding.condition, kind, server):
                    continue
                sites = [] if any(map(_denies, binding.items)) else list(_sites(binding.items))
                for interaction in _interactions(policy, binding, server) if sites else ():
                    found.setdefault(interaction.key, (interaction, []))[1].extend(sites)
    return {interaction: tuple(sites) for interaction, sites in found.values()}


def _may_be_for(asked: Condition, kind: Kind, server: EntityClass) -> bool:
    """Whether a condition can hold for what is not known of a class."""
    if (asked.src if kind.server_is_source else asked.dst) not in (None, server.index):
        return False
    known = server.security if kind is Kind.SECURITY else server.endpoints
    described = [each for each in known if each.interface.methods]
    interfaces = {each.interface.name: each.interface for each in described}
    endpoints = {each.name: each.interface for each in described if kind is not Kind.SECURITY}
    of = interfaces.get(asked.interface or "") or endpoints.get(asked.endpoint or "")
    if of is not None:
        return asked.method is not None and of.method(asked.method) is None
    return True


def _interactions(
    policy: PolicyTree, binding: Binding, server: EntityClass
) -> Iterator[Interaction]:
    asked = binding.condition
    operation = Operation(binding.kind, server, _endpoint(asked), _method(asked))
    if binding.kind is Kind.SECURITY:
        yield Interaction(operation, None)
        return
    peer = asked.dst if binding.kind.server_is_source else asked.src
    named = {peer} if peer is not None else set(peers(binding)) or None
    for entity in policy.classes:
        if named is None or entity.index in named:
            yield Interaction(operation, entity)


def _endpoint(asked: Condition) -> Endpoint | None:
    if asked.endpoint is None and asked.interface is None and asked.method is None:
        return None
    interface = Interface(asked.interface or "", ())
    return Endpoint(asked.endpoint or "", -1, interface, asked.component)


def _method(asked: Condition) -> Method | None:
    if asked.method is None:
        return None
    return Method(asked.method, -1, *_NO_MESSAGE)


def _denies(item: Item) -> bool:
    return isinstance(item, Rule) and item.method == "deny"


def _sites(items: tuple[Item, ...]) -> Iterator[int]:
    for item in items:
        match item:
            case Rule(site=site) | Evaluate(site=site):
                yield site
            case Match(items=inner):
                yield from _sites(inner)
            case Choice(site, _, branches, default):
                yield site
                for branch in branches:
                    yield from _sites(branch.items)
                yield from _sites(default or ())
