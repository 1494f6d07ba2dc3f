"""States that policy objects come to, from a start in which they know nobody.

What no event can lead to is found without looking at messages: of an event that may be granted all
rules are taken to have their effect, one after the other, until nothing is new. So what is not
found is certainly never reached, and what is found may not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from kss.analysis.guard import Cases, Grants, Guard
from kss.analysis.guards import Guards
from kss.models import MODELS
from kss.tree import PolicyTree, Rule

States: TypeAlias = Mapping[str, frozenset[str]]  # object -> those that some SID may be in


class Reach:
    """Of one policy."""

    def __init__(self, policy: PolicyTree, guards: Guards) -> None:
        self._objects = policy.objects
        self.states: States = {}
        self._blocking: Rule | None = None
        known = {id(guard): guard for _, guard in guards.all()}
        growing = True
        while growing:
            growing = False
            for guard in known.values():
                found = self._after(guard, self.states) or self.states
                growing |= found != self.states
                self.states = found

    def blocking(self, guard: Guard) -> Rule | None:
        """A rule that grants in none of the states that are reached, for which the guard never
        grants; None if there is no such rule."""
        self._blocking = None
        return None if self._after(guard, self.states) is not None else self._blocking

    def _after(self, guard: Guard, states: States) -> States | None:
        """The states after an event with this guard; None if it is not granted."""
        if guard.refused is not None:
            return None
        for part in guard.parts:
            after: States | None = states
            if isinstance(part, Grants):
                after = self._granted(part.rule, states)
            elif isinstance(part, Cases):
                after = self._branches(part, states)
            if after is None:
                return None
            states = after
        return states

    def _granted(self, rule: Rule, states: States) -> States | None:
        thing = self._objects[rule.object]
        before = states.get(thing.name, frozenset())
        model, arguments = MODELS[thing.model], dict(rule.arguments)
        after = model.reached(thing.config, rule.method, arguments, before)
        if after is None:
            self._blocking = rule
            return None
        return states if after == before else {**states, thing.name: after}

    def _branches(self, part: Cases, states: States) -> States | None:
        found = [self._after(guard, states) for guard in part.guards]
        possible = [each for each in found if each is not None]
        names = dict.fromkeys(name for each in possible for name in each)
        if not possible:
            return None
        return {
            name: frozenset().union(*(each.get(name, frozenset()) for each in possible))
            for name in names
        }
