"""Whether an event with a guard is granted, for every message and state in a box."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from kss import tree
from kss.analysis.abstract import Abstract, Effects
from kss.analysis.guard import Cases, Evaluable, Grants, Guard, Holds, Part
from kss.analysis.keys import Keys, queries
from kss.analysis.values import BOTH, Choices, Fails, Numbers, Value, truth
from kss.models import MODELS
from kss.models.model import Contexts, Label, is_label

_COMPUTED = {Fails.NEVER: True, Fails.MAYBE: None, Fails.ALWAYS: False}


REFUSING = Guard(called=True, refused=-1)


class Outcome(Abstract):
    """The evaluation of one guard."""

    def granted(self, guard: Guard) -> bool | None:
        """Whether an event with this guard is granted; None if that is not certain. `rest` is what
        is left of the guard within the box."""
        kept: list[Part] = []
        holds, called = self._guard(guard, kept)
        self.rest = Guard(tuple(kept), called is True)
        if holds is False or called is False:
            self.rest = REFUSING
            self.open.clear()
            return False
        return True if holds and called else None

    def _guard(
        self, guard: Guard, kept: list[Part] | None = None
    ) -> tuple[bool | None, bool | None]:
        """Whether its parts hold, and whether a rule is called; keeps what still counts."""
        if guard.refused is not None:
            return False, True
        holds: bool | None = True
        called: bool | None = guard.called
        for part in guard.parts:
            mark = len(self.open)
            held, counted = self._part(part)
            if held is False:
                return False, True
            certain = held is True and counted is not None
            if certain:
                del self.open[mark:]
            if kept is not None and not (certain and _changes_nothing(part)):
                kept.append(part)
            holds = held and holds
            called = True if called or counted else None if None in (called, counted) else False
        return holds, called

    def _part(self, part: Part) -> tuple[bool | None, bool | None]:
        match part:
            case Holds(_, condition):
                return self.holds(condition), False
            case Evaluable(_, value):
                return _COMPUTED[self.value(value).fails], False
            case Grants(_, rule):
                return self._rule(rule), False
            case Cases():
                return self._cases(part)

    def holds(self, condition: tree.Expression) -> bool | None:
        """Whether a condition is true; one that cannot be evaluated is not."""
        known = self.value(condition)
        value = truth(known.value)
        if known.fails is Fails.ALWAYS or value is False:
            return False
        return value if known.fails is Fails.NEVER else None

    def _rule(self, rule: tree.Rule) -> bool | None:
        fails = max((self.value(value).fails for _, value in rule.arguments), default=Fails.NEVER)
        if fails is Fails.ALWAYS:
            return False
        keys, context = self.policy.keys, self._context(rule)
        granted = truth(self.look((keys.answer(rule), context), BOTH))
        owner, before = keys.owner(rule), self._effects.get(keys.owner(rule), 0)
        self._effects[owner] = self.policy.effect(before, (keys.rule(rule), context))
        return None if granted and fails else granted

    def _cases(self, part: Cases) -> tuple[bool | None, bool | None]:
        taken, fails = self.taken(part)
        if fails is Fails.ALWAYS:
            return False, None
        before, afterwards = self._effects, []
        outcomes: list[tuple[bool | None, bool | None]] = []
        for index in taken:
            self._effects = dict(before)
            outcomes.append(self._guard(part.guard(index)))
            afterwards.append(self._effects)
        self._effects = afterwards[0] if len(taken) == 1 else self._merged(part, before, afterwards)
        holds, called = ({each[i] for each in outcomes} for i in (0, 1))
        held = holds.pop() if len(holds) == 1 else None
        if fails is Fails.MAYBE and held is not False:
            held = None
        return held, called.pop() if len(called) == 1 else None

    def _merged(self, part: Cases, before: Effects, afterwards: list[Effects]) -> Effects:
        """The effects after one of several branches: of an object that some of them change, that it
        went through this choice in the state that all objects in it had."""
        merged = dict(before)
        changed = {name for each in afterwards for name in each if each[name] != before.get(name)}
        if changed:
            context = tuple(sorted(before.items(), key=lambda item: item[0]))
            key = (_choice_key(part, self.policy.keys), context)
            for name in sorted(changed):
                merged[name] = self.policy.effect(before.get(name, 0), key)
        return merged

    # ---- choices

    def taken(self, part: Cases) -> tuple[list[int | None], Fails]:
        """The branches that may be taken (None: the default), in order."""
        value, labels = part.value, part.labels
        if isinstance(value, tree.Query):
            return self._chosen(value, labels)
        known = self.value(value)
        return self._labelled(known.value, labels), known.fails

    def _labelled(self, value: Value, labels: list[Label]) -> list[int | None]:
        found: list[int | None]
        match value:
            case Numbers(low, high):
                found = [i for i, x in enumerate(labels) if low <= x <= high]  # type: ignore[operator]
                distinct = len({labels[i] for i in found if i is not None})
                return found if distinct == high - low + 1 else [*found, None]
            case Choices(values, False):
                found = [_branch(labels, each) for each in values]
                return sorted(set(found), key=lambda i: len(labels) if i is None else i)
        return [*range(len(labels)), None]

    def _chosen(self, query: tree.Query, labels: list[Label]) -> tuple[list[int | None], Fails]:
        """`choice` on an expression method: the model tells what labels mean."""
        thing = self.policy.objects[query.object]
        model = MODELS[thing.model]
        if model.stateful or model.languages(query.method, labels) is None:
            known = self._query(query)
            return self._labelled(known.value, labels), known.fails

        def choose(arguments: dict[str, Any]) -> int | None:
            return model.choose(thing.config, Contexts(0), query.method, arguments, labels)

        known = self._computed(query, choose)
        if isinstance(known.value, Choices):
            return list(known.value.values), known.fails  # type: ignore[arg-type]
        return [*range(len(labels)), None], known.fails


def _branch(labels: list[Label], value: Any) -> int | None:
    return next((i for i, label in enumerate(labels) if is_label(label, value)), None)


def _changes_nothing(part: Part) -> bool:
    """Whether a part has no effects."""
    if isinstance(part, Cases):
        return all(_changes_nothing(inner) for guard in part.guards for inner in guard.parts)
    return not isinstance(part, Grants)


def guard_key(guard: Guard, keys: Keys) -> Hashable:
    """Equal for guards that grant the same events, wherever their rules stand. The order counts of
    what asks or changes objects."""
    any_order: set[Hashable] = set()
    in_order: list[Hashable] = []
    for part in guard.parts:
        match part:
            case Holds(_, value) | Evaluable(_, value):
                key: Hashable = (type(part).__name__, keys.of(value))
                if any(queries(value)):
                    in_order.append(key)
                else:
                    any_order.add(key)
            case Grants(_, rule):
                in_order.append(keys.rule(rule))
            case Cases():
                in_order.append(_choice_key(part, keys))
    refused = guard.refused is not None
    return guard.called, refused, frozenset(any_order), tuple(in_order)


def _choice_key(part: Cases, keys: Keys) -> Hashable:
    guards = tuple(guard_key(guard, keys) for guard in part.guards)
    return ("choice", keys.of(part.value), tuple(part.labels), guards)
