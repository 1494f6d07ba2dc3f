"""Small changes of policy trees: what somebody might have edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any

from kss.models.flow import FlowConfig
from kss.tree import Constant, PolicyTree, Rule
from kss.types import IntegerType


def changed(rng: Random, tree: PolicyTree) -> PolicyTree:
    """The policy with one change, which may have no effect."""
    change = rng.choice(
        [_without_binding, _number, _number, _number, _rule, _swapped, _transitions]
    )
    return change(rng, tree)


def moved(tree: PolicyTree) -> PolicyTree:
    """The same policy in another place of the file."""
    sites = tuple(
        replace(site, location=replace(site.location, line=site.location.line + 1000))
        for site in tree.sites
    )
    return replace(tree, sites=sites)


def _without_binding(rng: Random, tree: PolicyTree) -> PolicyTree:
    kept = list(tree.bindings)
    if kept:
        kept.pop(rng.randrange(len(kept)))
    return replace(tree, bindings=tuple(kept))


def _swapped(rng: Random, tree: PolicyTree) -> PolicyTree:
    order = list(tree.bindings)
    rng.shuffle(order)
    return replace(tree, bindings=tuple(order))


def _number(rng: Random, tree: PolicyTree) -> PolicyTree:
    """One integer of a rule is another."""

    def number(node: Any) -> Any:
        if isinstance(node, Constant) and isinstance(node.type, IntegerType):
            assert isinstance(node.value, int)
            value = node.value + rng.choice([-1, 1])
            return Constant(min(max(value, node.type.low), node.type.high), node.type)
        return None

    return _one(rng, tree, number)


def _rule(rng: Random, tree: PolicyTree) -> PolicyTree:
    """One `assert` is a `deny`, or the other way round."""
    opposite = {"assert": "deny", "deny": "assert"}

    def rule(node: Any) -> Any:
        if (
            isinstance(node, Rule)
            and node.method in opposite
            and node.arguments
            and not node.object
        ):
            return replace(node, method=opposite[node.method])
        return None

    return _one(rng, tree, rule)


def _transitions(rng: Random, tree: PolicyTree) -> PolicyTree:
    """A state machine has one transition less."""
    things = list(tree.objects)
    flows = [thing for thing in things if isinstance(thing.config, FlowConfig)]
    if flows:
        thing = rng.choice(flows)
        config = thing.config
        assert isinstance(config, FlowConfig)
        rows = list(config.transitions)
        at = rng.randrange(len(rows))
        rows[at] = rows[at][1:]
        new = replace(config, transitions=tuple(rows))
        things[thing.index] = replace(thing, config=new, identity=f"Flow{new}")
    return replace(tree, objects=tuple(things))


def _one(rng: Random, tree: PolicyTree, change: Callable[[Any], Any]) -> PolicyTree:
    """The policy with one of the nodes changed for which `change` has another."""
    found: list[int] = []
    _walk(tree.bindings, lambda node: found.append(1) if change(node) is not None else None)
    if not found:
        return tree
    wanted, seen = rng.randrange(len(found)), 0

    def chosen(node: Any) -> Any:
        nonlocal seen
        new = change(node)
        if new is None:
            return None
        seen += 1
        return new if seen == wanted + 1 else None

    return replace(tree, bindings=_walk(tree.bindings, chosen))


def _walk(node: Any, change: Callable[[Any], Any]) -> Any:
    new = change(node)
    if new is not None:
        return new
    if isinstance(node, tuple):
        return tuple(_walk(item, change) for item in node)
    if is_dataclass(node) and type(node).__module__ == "kss.tree":
        parts = {f.name: _walk(getattr(node, f.name), change) for f in fields(node)}
        return replace(node, **parts)
    return node
