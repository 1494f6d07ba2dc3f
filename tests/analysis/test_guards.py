"""What is certain of interactions, against both engines: random policies and events."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from kss.analysis.decide import Verdict, verdict
from kss.analysis.guards import Guards
from kss.analysis.interactions import Interaction, Operation
from kss.compiler import compile_policy
from kss.events import Event, Kind, Reason
from kss.recursion import deep_recursion
from kss.reference import Reference
from kss.tree import PolicyTree
from kss.vm import Vm

from tests.analysis.guards import evaluation, granted
from tests.vm.generate import policy
from tests.vm.generate_events import Events

POOL, EVENTS = 3, 80


def interaction(tree: PolicyTree, engine: Reference, event: Event) -> Interaction:
    classes = (event.src_class, event.dst_class)
    src, dst = (None if index is None else tree.classes[index] for index in classes)
    server, peer = (src, dst) if event.kind.server_is_source else (dst, src)
    assert server is not None
    called = evaluation(tree, engine, event).called or (None, None)
    return Interaction(Operation(event.kind, server, *called), peer)


def check(seed: int, library: Path, seen: Counter[object]) -> None:
    """A certain verdict is the engines' verdict; and every guard, carried out, is what they do."""
    rng = Random(seed)
    tree = policy(rng)
    with deep_recursion():
        guards = {of.key: guard for of, guard in Guards(tree).all()}
        verdicts = {key: verdict(guard, tree.objects) for key, guard in guards.items()}
    engine, vm = Reference(tree, max_sids=POOL), Vm(compile_policy(tree, max_sids=POOL), library)
    source = Events(rng, tree)
    for _ in range(EVENTS):
        event = source.event()
        if event.src_class is None or (event.dst_class is None and event.kind is not Kind.SECURITY):
            continue
        run = evaluation(tree, engine, event)
        decision = engine.judge(event)
        assert vm.judge(event) == decision
        if decision.reason is Reason.MALFORMED:
            continue
        key = interaction(tree, engine, event).key
        assert granted(run, guards[key]) == decision.granted, (seed, event)
        known = verdicts[key]
        seen[known, decision.granted] += 1
        if known is not Verdict.CONDITIONAL:
            assert decision.granted == (known is Verdict.GRANTED), (seed, event)


@pytest.mark.parametrize("block", range(4))
def test_engines_agree(block: int, library: Path) -> None:
    seen: Counter[object] = Counter()
    for seed in range(block * 12, block * 12 + 12):
        check(seed, library, seen)
    assert seen[Verdict.GRANTED, True] > 5 and seen[Verdict.DENIED, False] > 100
    assert seen[Verdict.CONDITIONAL, True] > 40 and seen[Verdict.CONDITIONAL, False] > 100
