"""Events that change what policy objects remember."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from kss import layout
from kss.analysis.abstract import Box, Policy
from kss.analysis.examples import example
from kss.analysis.guard import Cases, Grants, Guard, expressions
from kss.analysis.guards import Guards
from kss.analysis.interactions import Interaction
from kss.analysis.keys import parts, queries
from kss.analysis.observed import Observed
from kss.analysis.replay import Line
from kss.analysis.search import Search
from kss.analysis.values import Numbers
from kss.analysis.words import Words
from kss.tree import Expression, Place, PolicyObject, PolicyTree, Rule

MOST_EVENTS = 48
MOST_MESSAGES = 6  # of one interaction, for one number
BUDGET = 64  # boxes that the messages of an interaction are worth


def asked(guard: Guard, things: Sequence[PolicyObject]) -> set[str]:
    """The objects that a guard asks."""
    found = {things[query.object].name for value in expressions(guard) for query in queries(value)}
    return found | {things[rule.object].name for rule in _rules(guard)}


def changing(policy: PolicyTree, names: Collection[str], numbers: Sequence[int]) -> list[Line]:
    """Events with rules on these objects, with messages that may be granted: as plain as possible,
    and such that the rules get these numbers."""
    found: dict[str, Line] = {}
    for interaction, guard in Guards(policy).all():
        if any(policy.objects[rule.object].name in names for rule in _rules(guard)):
            for line in _lines(interaction, guard, policy.objects, numbers):
                found.setdefault(json.dumps(line, sort_keys=True), line)
        if len(found) >= MOST_EVENTS:
            break
    return list(found.values())[:MOST_EVENTS]


def _rules(guard: Guard) -> Iterator[Rule]:
    for part in guard.parts:
        if isinstance(part, Grants):
            yield part.rule
        elif isinstance(part, Cases):
            for inner in part.guards:
                yield from _rules(inner)


def _lines(
    interaction: Interaction,
    guard: Guard,
    things: Sequence[PolicyObject],
    numbers: Sequence[int],
) -> Iterator[Line]:
    seen = Observed()
    seen.add(guard, things)
    policy = Policy(things, seen.texts(), seen.labels)

    words = Words(things)
    given = dict(_integers(guard, words))
    for start in _starts(given, numbers):
        count = 0
        for box, (granted,) in Search([(policy, guard)], seen.numbers, BUDGET).leaves(start):
            line = example(interaction, box) if granted else None
            if line is not None:
                yield line
                count += 1
            if count == MOST_MESSAGES:
                break


def _starts(given: dict[str, layout.Integer], numbers: Sequence[int]) -> Iterator[Box]:
    """Any message; then those in which all of the integers given to rules are one number."""
    yield {}
    for number in numbers if given else ():
        fitting: Box = {
            path: Numbers(number, number)
            for path, kind in given.items()
            if -(1 << kind.bits - 1) * kind.signed <= number < 1 << kind.bits - kind.signed
        }
        if fitting:
            yield fitting


def _integers(guard: Guard, words: Words) -> Iterator[tuple[str, layout.Integer]]:
    """The integers of the message that rules on state are given, by path."""
    waiting: list[Expression] = [value for rule in _rules(guard) for _, value in rule.arguments]
    for expression in waiting:  # grows on the way
        if isinstance(expression, Place) and isinstance(expression.wire, layout.Integer):
            yield words.of(expression), expression.wire
        waiting += parts(expression)
