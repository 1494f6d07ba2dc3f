"""Mutations of a policy: the same policy with one rule taken out, or turned round.

A rule that grants turned round denies, and the other way; what a stateful rule would have changed
is not changed then. After DeMillo, Lipton, Sayward: Hints on Test Data Selection (1978).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from kss import tree
from kss.models import MODELS
from kss.tree import Binding, Choice, Item, Match, PolicyTree, Rule, Site

_Section: TypeAlias = Binding | Match


@dataclass(frozen=True, slots=True)
class Mutation:
    """`change` in words; `tree` is the policy with it."""

    site: Site
    change: str
    tree: PolicyTree


def mutations(policy: PolicyTree) -> Iterator[Mutation]:
    """Every mutation of every rule, in the order of the policy."""
    base = next((item.index for item in policy.objects if item.model == "Base"), None)
    for index, binding in enumerate(policy.bindings):
        for rule, change, items in _variants(policy, binding.items, base):
            changed = replace(binding, items=items)
            bindings = (*policy.bindings[:index], changed, *policy.bindings[index + 1 :])
            yield Mutation(policy.sites[rule.site], change, replace(policy, bindings=bindings))


_Variant: TypeAlias = tuple[Rule, str, tuple[Item, ...]]


def _variants(policy: PolicyTree, items: tuple[Item, ...], base: int | None) -> Iterator[_Variant]:
    """The items with one rule in them changed."""
    for index, item in enumerate(items):
        before, after = items[:index], items[index + 1 :]
        match item:
            case Rule():
                yield item, "taken out", (*before, *after)
                if base is not None:
                    yield item, "turned round", (*before, _flipped(policy, item, base), *after)
            case Match():
                for rule, change, inner in _variants(policy, item.items, base):
                    yield rule, change, (*before, replace(item, items=inner), *after)
            case Choice():
                for rule, change, choice in _in_choice(policy, item, base):
                    yield rule, change, (*before, choice, *after)


def _in_choice(
    policy: PolicyTree, choice: Choice, base: int | None
) -> Iterator[tuple[Rule, str, Choice]]:
    for index, branch in enumerate(choice.branches):
        for rule, change, items in _variants(policy, branch.items, base):
            changed = replace(branch, items=items)
            branches = (*choice.branches[:index], changed, *choice.branches[index + 1 :])
            yield rule, change, replace(choice, branches=branches)
    for rule, change, items in _variants(policy, choice.default or (), base):
        yield rule, change, replace(choice, default=items)


def _flipped(policy: PolicyTree, rule: Rule, base: int) -> Rule:
    """Grants what the rule denies, if that hangs on values alone; else it denies."""
    model = MODELS[policy.objects[rule.object].model]
    condition = model.condition(rule.method, dict(rule.arguments))
    if condition is None:
        return Rule(rule.site, base, "deny", ())
    if isinstance(condition, tree.Constant):
        return Rule(rule.site, base, "deny" if condition.value else "grant", ())
    return Rule(rule.site, base, "deny", (("value", condition),))
