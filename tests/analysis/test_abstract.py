"""What evaluation over ranges says is never wrong: random guards, messages, and boxes around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from kss import layout, message
from kss.analysis.abstract import Abstract, Box, Policy
from kss.analysis.decide import Verdict, verdict
from kss.analysis.guards import Guards, Wanted
from kss.analysis.outcome import Outcome
from kss.analysis.texts import Texts
from kss.analysis.values import Known, Numbers
from kss.events import Event, Kind, Reason
from kss.layout import WireType
from kss.recursion import deep_recursion
from kss.reference import Reference
from kss.regex.parser import parse
from kss.regex.positions import matches
from kss.tree import Expression

from tests.analysis.guards import evaluation
from tests.analysis.test_guards import interaction
from tests.kss.conftest import Load
from tests.vm.generate import policy
from tests.vm.generate_events import Events


def quantities(wire: WireType, value: Any, path: str) -> Iterator[tuple[str, int]]:
    """Every number in a value: fields, sizes, tags."""
    match wire:
        case layout.Integer():
            yield path, value
        case layout.Handle():
            yield f"{path}.handle", value["handle"]
            yield f"{path}.rights", value["rights"]
        case layout.Struct(_, fields):
            for field in fields:
                yield from quantities(field.type, value[field.name], f"{path}.{field.name}")
        case layout.Union(_, members):
            ((name, inner),) = value.items()
            tag = next(i for i, member in enumerate(members) if member.name == name)
            yield f"tag of {path}", tag
            yield from quantities(members[tag].type, inner, f"{path}.{name}")
        case layout.Array(element) | layout.Sequence(element):
            if isinstance(wire, layout.Sequence):
                yield f"size of {path}", len(value)
            for index, item in enumerate(value):
                yield from quantities(element, item, f"{path}.[{index}]")
        case layout.Bytes():
            yield f"size of {path}", len(value)
            yield from ((f"{path}.[{index}]", byte) for index, byte in enumerate(value))


def box_around(rng: Random, event: Event, kind: layout.MessageType | None) -> Box:
    """Bounds that the event lies within, of some of its numbers; often the very number."""
    known = {"src_sid": event.src_sid, "dst_sid": event.dst_sid}
    if kind is not None:
        values = message.decode(kind, event.message)
        for field in kind.fields:
            known |= dict(quantities(field.type, values[field.name], f"message.{field.name}"))
    width = rng.choice([0, 0, 1, 3, 300])
    return {
        name: Numbers(
            value - rng.randint(0, width) * (value > width), value + rng.randint(0, width)
        )
        for name, value in known.items()
        if rng.random() < 0.9
    }


def test_what_is_certain_is_so() -> None:
    seen: Counter[object] = Counter()
    for seed in range(50):
        rng = Random(seed)
        tree = policy(rng)
        known = Policy(tree.objects)
        with deep_recursion():
            guards = {of.key: guard for of, guard in Guards(tree).all()}
        engine, source = Reference(tree, max_sids=3), Events(rng, tree)
        for event in (source.event() for _ in range(60)):
            no_peer = event.dst_class is None and event.kind is not Kind.SECURITY
            if event.src_class is None or no_peer:
                continue
            called = evaluation(tree, engine, event).called
            decision = engine.judge(event)
            if decision.reason is Reason.MALFORMED:
                continue
            direction = event.kind.direction
            kind = called[1].message(direction) if called and direction is not None else None
            guard = guards[interaction(tree, engine, event).key]
            with deep_recursion():
                found = Outcome(known, box_around(rng, event, kind)).granted(guard)
            assert found in (None, decision.granted), (seed, event)
            seen[found, bool(guard.parts)] += 1
    assert seen[True, True] > 2 and min(seen[False, True], seen[None, True]) > 30, seen


OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open "


@pytest.mark.parametrize(
    "rule",
    [
        "message.wide * 7 == 7 * 123456789123",  # true of one number that stands nowhere
        "size (message.pin) * 2 == 14",  # sizes that are computed with
        "size (message.pin) + size (message.pin) == 14",
        "(message.wide & 0xF0F0F0F0F0F0) == 0x1020304050",
    ],
)
def test_what_is_not_found_out_stays_open(rule: str, load: Load) -> None:
    tree = load(f"use nk.basic._\n{OPEN}{{ assert ({rule}) }}").tree
    wanted = Wanted(Kind.REQUEST, "bank.Teller", "bank.Vault", "door", "Open")
    ((_, guard),) = Guards(tree).all(wanted)
    assert verdict(guard, tree.objects) is Verdict.CONDITIONAL


PATTERNS = ["a*", "[a-c]+", ".{3}", "!(.*b.*)", "ab|cd", ""]


def test_texts_stand_for_all(load: Load) -> None:
    """Every text agrees with one of the examples in all patterns and in what its size is below."""
    rng = Random(1)
    languages = [parse(pattern).expression for pattern in PATTERNS]
    examples = Texts(languages, [2, 5]).of(8)
    assert not examples.partial

    def about(text: bytes) -> tuple[object, ...]:
        size = len(text)
        sizes = (size < 2, size == 2, size < 5, size == 5)
        return (*(matches(language, text) for language in languages), *sizes)

    known = {about(text) for text in examples.values if isinstance(text, bytes)}
    for _ in range(600):
        text = bytes(rng.choice(b"abcdx\xff\n") for _ in range(rng.randint(0, 8)))
        assert about(text) in known, text


def test_too_many_texts_are_only_examples() -> None:
    languages = [parse(f".{{{n}}}x.*").expression for n in range(30)]
    assert Texts(languages).of(200).partial
    assert not Texts([]).of(1 << 16).partial


def test_a_long_expression_is_evaluated_once(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again for each operator around it: with many terms that took minutes."""
    looks: list[Any] = []
    fresh = Abstract._value

    def counted(self: Abstract, expression: Expression) -> Known:
        looks.append(expression)
        return fresh(self, expression)

    monkeypatch.setattr(Abstract, "_value", counted)
    counts = []
    for terms in (200, 400):
        text = " || ".join(f"message.amount == {number}" for number in range(terms))
        head = "request dst=bank.Vault, endpoint=door, method=Open"
        policy = load(f"{head} {{ assert ({text}) }}").tree
        looks.clear()
        wanted = Wanted(Kind.REQUEST, "bank.Teller", "bank.Vault", "door", "Open")
        assert len(list(Guards(policy).all(wanted))) == 1
        counts.append(len(looks) / terms)
    assert counts[0] == pytest.approx(counts[1], rel=0.05)
