"""The compiler with the VM against the reference interpreter: each is the other's oracle.

A case is a seed: it makes a schema, a policy and a sequence of events. Verdict, reason, calls, audit
record and state must agree after every event. KHS_FUZZ_EVENTS asks for more events than the default; a seed
that fails is printed with the events up to the difference and the compiled policy.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kss.binary import disassemble
from kss.compiler import compile_policy
from kss.events import Decision, Event, Reason, Result
from kss.reference import Reference
from kss.tree import PolicyTree
from kss.vm import Vm

from tests.vm.generate import policy
from tests.vm.generate_events import Events

EVENTS_A_CASE = 200
EVENTS = int(os.environ.get("KHS_FUZZ_EVENTS", "100000"))
POOL = 3  # contexts an object holds: so few that full tables occur


RULES = {
    "Flow": ("init", "fini", "enter", "allow"),
    "HashSet": ("init", "fini", "add", "remove"),
    "StaticMap": ("init", "fini", "set", "commit", "rollback"),
    "Mic": ("create", "delete", "upgrade", "execute", "call", "invoke", "read", "write"),
}


@dataclass(frozen=True)
class Case:
    tree: PolicyTree
    events: list[Event]


def make_case(seed: int, events: int = EVENTS_A_CASE) -> Case:
    rng = Random(seed)
    tree = policy(rng)
    source = Events(rng, tree)
    return Case(tree, [source.event() for _ in range(events)])


def differences(case: Case, vm: Vm) -> Iterator[str]:
    """Yields a description of the first event on which the engines differ, if one does."""
    reference = Reference(case.tree, max_sids=POOL)
    engines = (reference, vm)
    words = _words(vm)
    for number, event in enumerate(case.events):
        expected, found = ((e.judge(event), e.recorded) for e in engines)
        if number % 10 == 9:
            for engine in engines:
                engine.release(number // 10 % 6)
        before, words = words, _words(vm)
        if words != before:  # so that a denial that changes the VM's state is seen, too
            expected, found = (
                (*told, engine.state(), engine.audit_level)
                for told, engine in zip((expected, found), engines, strict=True)
            )
        if expected != found:
            yield f"event {number}: {event}\nreference {expected}\nvm {found}"
            return
    if reference.state() != vm.state():
        yield f"in the end: reference {reference.state()}\nvm {vm.state()}"


def _words(vm: Vm) -> bytes:
    """The words of all objects."""
    return vm._words()[: vm.image.state_words].tobytes()


def compiled(case: Case) -> bytes:
    return compile_policy(case.tree, max_sids=POOL)


def test_engines_agree(library: Path) -> None:
    cases = max(1, EVENTS // EVENTS_A_CASE)

    @settings(
        max_examples=cases,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1))
    def agree(seed: int) -> None:
        case = make_case(seed)
        data = compiled(case)
        for difference in differences(case, Vm(data, library)):
            pytest.fail(f"seed {seed}, {difference}\n{disassemble(data)}")

    agree()


def _model(tree: PolicyTree, name: str) -> str:
    return next((thing.model for thing in tree.objects if thing.name == name), "")


def test_cases_reach_every_kind_of_decision(library: Path) -> None:
    """The generator is worth its while only if all outcomes are frequent."""
    seen: Counter[object] = Counter()
    for seed in range(150):
        case = make_case(seed)
        vm = Vm(compiled(case), library)
        for event in case.events:
            decision: Decision = vm.judge(event)
            seen[event.kind, decision.reason] += 1
            seen["granted"] += decision.granted
            seen.update(result for _, result in decision.calls)
            called = ((case.tree.sites[site], result) for site, result in decision.calls)
            seen.update((_model(case.tree, s.object), s.method, r) for s, r in called)
            record = vm.recorded
            seen["recorded", decision.reason, record is not None] += 1
            for site, result in record.calls if record else ():
                seen["recorded", result if isinstance(result, Result) else "value"] += 1
                seen["omits"] += any(watch.omit for watch in case.tree.sites[site].watches)
        seen["contexts"] += sum(map(len, vm.state().values()))
    for kind in list(type(case.events[0].kind))[1:]:
        for reason in Reason:
            assert seen[kind, reason], (kind, reason)
    assert seen["granted"] > 100 and seen["contexts"] > 10
    for model, rules in RULES.items():
        for rule in rules:
            for result in (Result.GRANTED, Result.DENIED):
                assert seen[model, rule, result], (model, rule, result)
    for reason in Reason:
        always = reason in (Reason.DEFAULT, Reason.MALFORMED)
        assert seen["recorded", reason, True] and bool(seen["recorded", reason, False]) != always
    assert all(seen["recorded", result] > 10 for result in (*Result, "value"))
    assert seen["omits"] > 10
