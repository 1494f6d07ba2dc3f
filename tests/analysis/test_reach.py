"""Rules that no state lets grant, as no event leads there."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from kss.analysis.flow import Flows
from kss.analysis.guards import Guards
from kss.analysis.query import Query
from kss.analysis.reach import Reach
from kss.events import Kind
from kss.reference import Reference

from tests.analysis.command import Command
from tests.analysis.test_guards import interaction
from tests.kss.conftest import Load
from tests.vm.generate import policy
from tests.vm.generate_events import Events

LIFE = """\
policy object life : Flow {
  type State = "idle" | "busy" | "lost"
  config = { states : ["idle", "busy", "lost"], initial : "idle"
           , transitions : { "idle" : ["busy"], "busy" : ["idle"], "lost" : ["idle"] } } }
"""
INIT = "execute dst=bank.Teller { life.init { sid : dst_sid } }\n"
ASK = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method="
BUSY = f'{ASK}Close {{ life.enter {{ sid : src_sid, state : "busy" }} }}\n'
OPEN = f"{ASK}Open "


@pytest.mark.parametrize(
    ("policy", "rule", "never"),
    [
        (LIFE + INIT, 'life.enter { sid : src_sid, state : "busy" }', False),
        (LIFE + INIT, 'life.enter { sid : src_sid, state : "idle" }', True),
        (LIFE + INIT + BUSY, 'life.enter { sid : src_sid, state : "idle" }', False),
        (LIFE + INIT + BUSY, 'life.enter { sid : src_sid, state : "lost" }', True),
        (LIFE + INIT + BUSY, 'life.allow { sid : src_sid, states : ["lost"] }', True),
        (LIFE + INIT + BUSY, 'life.allow { sid : src_sid, states : ["lost", "busy"] }', False),
        (LIFE + INIT, 'life.allow { sid : src_sid, states : ["busy"] }', True),
        (LIFE + INIT, "life.fini { sid : src_sid }", False),
        (LIFE, "life.fini { sid : src_sid }", True),
        (LIFE, "life.init { sid : src_sid }", False),
        # within one event, one after the other
        (
            LIFE + INIT,
            'life.enter { sid : src_sid, state : "busy" } life.allow { sid : src_sid, states : ["busy"] }',
            False,
        ),
        # the init beside it never counts
        (
            LIFE + f"{ASK}Close {{ life.init {{ sid : src_sid }} deny () }}",
            "life.fini { sid : src_sid }",
            True,
        ),
        (
            LIFE,
            "choice (message.amount) { 1 : life.fini { sid : src_sid }"
            ' 2 : life.allow { sid : src_sid, states : ["idle"] } _ : deny () }',
            True,
        ),
        (LIFE, "choice (message.amount) { 1 : life.fini { sid : src_sid } _ : grant () }", False),
    ],
)
def test_what_states_are_reached(policy: str, rule: str, never: bool, load: Load) -> None:
    tree = load(f"{policy}{OPEN}{{ {rule} }}").tree
    rows = [row for row in Query(tree).rows() if row.interaction.key[-1] == "Open" and row.rules]
    assert {
        (row.verdict.value, bool(row.never)) for row in rows if row.interaction.kind is Kind.REQUEST
    } == {("denied", True) if never else ("conditional", False)}


def test_query_says_never_and_flow_does_not_count_on_it(kss: Command, load: Load) -> None:
    """Another policy may have left a state that this one leads to never."""
    text = LIFE + INIT + OPEN + '{ life.enter { sid : src_sid, state : "lost" } }'
    assert kss("query", kss.policy(text), "--method", "Open", "--kind", "request") == 0
    _, row, condition, why, *_ = kss.out.splitlines()
    assert row.endswith("door.Open            denied: never possible")
    assert condition.split()[0] == "life.enter"
    assert why == (
        "    no event leads life to a state in which life.enter of security.psl:12 grants"
    )
    answer = Flows(load(text).tree).between("bank.Teller", "bank.Vault", 1)
    assert len(answer.paths) == 1


def test_what_is_granted_was_never_called_impossible() -> None:
    """Random policies and events, from the start."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        rng = Random(seed)
        tree = policy(rng)
        guards = Guards(tree)
        reach = Reach(tree, guards)
        found = {of.key: guard for of, guard in guards.all()}
        engine, source = Reference(tree, max_sids=3), Events(rng, tree)
        seen["never"] += sum(reach.blocking(guard) is not None for guard in found.values())
        for event in (source.event() for _ in range(60)):
            known = event.src_class is not None and (
                event.dst_class is not None or event.kind is Kind.SECURITY
            )
            if engine.judge(event).granted and known:
                key = interaction(tree, engine, event).key
                assert reach.blocking(found[key]) is None, (seed, key)
                seen["granted"] += 1
    assert seen["never"] > 20 and seen["granted"] > 100, seen
