"""kss diff: what changed, with examples that hold, and nothing where nothing did."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kss.analysis import compare as guards
from kss.analysis import diff as differences
from kss.analysis import histories
from kss.analysis.diff import Change, Diff
from kss.analysis.replay import Replay
from kss.api import Policy
from kss.compiler import compile_policy
from kss.evaluate import Evaluation
from kss.events import Kind, Reason
from kss.reference import Reference
from kss.tree import PolicyTree
from kss.vm import Vm

from tests.analysis.changes import changed, moved
from tests.analysis.command import Command
from tests.analysis.test_guards import interaction
from tests.kss.conftest import LIB, Load
from tests.vm.generate import policy
from tests.vm.generate_events import Events

LIFE = """\
policy object life : Flow {
  type State = "idle" | "busy"
  config = { states : ["idle", "busy"], initial : "idle", transitions : { "idle" : ["busy"] } } }
execute dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Close {
  life.enter { sid : src_sid, state : "busy" } }
"""
OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open "
EVENT = {"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "endpoint": "door"}


def compare(kss: Command, old: str, new: str, *options: str) -> list[Any]:
    """The changes, as JSON; every example is tried by `kss eval`."""
    files = (kss.policy(old, "old.psl"), kss.policy(new, "new.psl"))
    assert kss("diff", *files, "--engine", "reference", "--json", *options) == 0, kss.err
    changes: list[Any] = json.loads(kss.out)["changed"]
    for change in changes:
        lines = "\n".join(map(json.dumps, [*change["history"], change["example"]]))
        for file, verdict in zip(files, (change["old"], change["new"]), strict=True):
            if change["example"] is not None:
                kss("eval", file, "--engine", "reference", "--events", "-", stdin=lines)
                last = json.loads(kss.out.splitlines()[-1])
                assert last.get("verdict", "denied") == verdict, (file, change)
    return changes


class TestCommand:
    def test_text(self, kss: Command) -> None:
        rule = OPEN + "{ life.allow { sid : src_sid, states : [%s] } }"
        old = LIFE + rule % '"busy"'
        new = LIFE + rule % '"idle", "busy"' + "\nexecute src=Einit { deny () }\n"
        files = kss.policy(old, "old.psl"), kss.policy(new, "new.psl")
        assert kss("diff", *files, "--engine", "reference") == 0
        assert kss.out == (
            "execute Einit -> bank.Teller: granted -> denied\n"
            "    old: conditional\n"
            "      life.init { sid : dst_sid }  old.psl:10\n"
            "    new: denied\n"
            '    event {"event": "execute", "src": "Einit", "dst": "bank.Teller"}\n'
            "request bank.Teller -> bank.Vault door.Open: denied -> granted\n"
            "    old: conditional\n"
            '      life.allow { sid : src_sid, states : ["busy"] }  old.psl:13\n'
            "    new: conditional\n"
            '      life.allow { sid : src_sid, states : ["idle", "busy"] }  new.psl:13\n'
            '    after {"event": "execute", "src": "kl.core.Core", "dst": "bank.Teller"}\n'
            '    event {"event": "request", "src": "bank.Teller", "dst": "bank.Vault", '
            '"endpoint": "door", "method": "Open"}\n'
            "2 changes\n"
        )

    def test_json(self, kss: Command) -> None:
        rule = OPEN + "{ assert (message.amount <= 5) }"
        (change,) = compare(kss, rule, rule.replace("5", "6"))
        said = {"verdict": "conditional", "condition": "message.amount <= 6"}
        place = {"text": "message.amount <= 6", "file": "new.psl", "line": 7}
        assert change.pop("policies")["new"] == {**said, "conditions": [place]}
        assert change == {
            "event": {**EVENT, "method": "Open"},
            "old": "denied",
            "new": "granted",
            "why": None,
            "example": {**EVENT, "method": "Open", "message": {"amount": 6}},
            "history": [],
        }

    def test_nothing_changed(self, kss: Command) -> None:
        files = kss.policy(LIFE, "old.psl"), kss.policy("\n\n" + LIFE, "new.psl")
        assert kss("diff", *files, "--engine", "reference", "--exit-code") == 0
        assert kss.out == "0 changes\n"

    def test_exit_code(self, kss: Command) -> None:
        files = kss.policy(LIFE, "old.psl"), kss.policy("", "new.psl")
        assert kss("diff", *files, "--engine", "reference", "--exit-code") == 1
        assert kss("diff", *files, "--engine", "reference", "--exit-code", "--json") == 1

    def test_bad_input(self, kss: Command) -> None:
        assert kss("diff", kss.policy(LIFE), "nowhere.psl") == 2
        assert "there is no file nowhere.psl" in kss.err
        assert kss("diff", kss.policy(LIFE), kss.policy("request {", "new.psl")) == 2
        assert "new.psl:7:10: error SRC-003" in kss.err

    def test_the_vm_judges_alike(self, kss: Command, library: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("KSS_LIBRARY", str(library))
        files = kss.policy(LIFE, "old.psl"), kss.policy("execute { grant () }", "new.psl")
        assert kss("diff", *files, "--json") == 0
        shown = kss.out
        assert kss("diff", *files, "--json", "--engine", "reference") == 0
        assert kss.out == shown


CHANGED = [
    ("assert (message.small == 3)", "assert (message.small == 4)", 2),
    ("assert (message.small < 3)", "deny (message.small < 3)", 2),
    ("assert (message.delta < 0)", "assert (message.delta <= 0)", 1),
    ("assert (message.wide > 0xFFFFFFFFFFFF)", "assert (message.wide > 0xFFFFFFFFFFFE)", 1),
    ("assert (message.items.[1].id == 7)", "assert (message.items.[0].id == 7)", 2),
    ("assert (message.either.number == 7)", "grant ()", 1),
    ('choice (message.either.text) { "ab" : grant () }', "grant ()", 1),
    ('choice (message.pin) { "ab" : grant () _ : deny () }', 'choice (message.pin) { "ac" : grant () _ : deny () }', 2),
    ("assert (size (message.pin) > 3)", "assert (size (message.pin) > 4)", 1),
    (
        'assert (re.match { text : message.pin, pattern : "[a-c]+" })',
        'assert (re.match { text : message.pin, pattern : "[a-d]+" })',
        1,
    ),
    (
        'choice (re.select { text : message.pin }) { "a.*" : grant () ".*b" : deny () }',
        'choice (re.select { text : message.pin }) { ".*b" : deny () "a.*" : grant () }',
        1,
    ),
    ("assert (message.raw.[2] == 9)", "assert (message.raw.[2] >= 9)", 1),
    ("assert (message.trio.[2] == 9)", "assert (math.sum (message.trio) == 9)", 2),
    ("assert (message.key.handle == src_sid)", "assert (message.key.rights == 1)", 2),
    ("assert ((message.amount & 0x8000) == 0)", "assert ((message.amount & 0x4000) == 0)", 2),
    ("assert (message.small + message.small < 100)", "assert (message.small < 100)", 1),
    ("assert (message.small * 2 < 100)", "assert (message.small < 51)", 1),
    ("assert (message.small == 1 || message.amount == 2)", "assert (message.small == 1)", 1),
    ("assert (src_sid != dst_sid)", "assert (src_sid == dst_sid)", 1),
    ("choice (message.small) { 0 : grant () 1 : { } }", "choice (message.small) { 0 : grant () 1 : grant () }", 1),
]  # fmt: skip
SAME = [
    ("assert (message.small < 3)", "assert (message.small <= 2)"),
    ("assert (message.small < 3)", "deny (message.small >= 3)"),
    ("assert (message.small > 1) assert (message.amount > 1)", "assert (message.amount > 1 && message.small > 1)"),
    ("deny (message.small == 1 || message.small == 2)", "choice (message.small) { 1 : deny () 2 : deny () _ : grant () }"),
    ("assert (message.small == 1 ==> message.amount == 2)", "assert (message.small != 1 || message.amount == 2)"),
    ("choice (message.pin) { \"a\" : grant () }", "assert (re.match { text : message.pin, pattern : \"a\" })"),
    ("assert (size (message.pin) == 0)", 'choice (message.pin) { "" : grant () }'),
    (
        'deny (re.match { text : message.pin, pattern : "!(a*)" })',
        'assert (re.match { text : message.pin, pattern : "a*" })',
    ),
    ("assert (message.items.[0].id == 1)", "assert (size (message.items) > 0 && message.items.[0].id == 1)"),
    ("assert ((message.small & 0xF0) == 0)", "assert (message.small < 16)"),
    ("grant () grant ()", "grant ()"),
    ("match method=Open { grant () }", "grant ()"),
    ("assert (bool.cond { if : message.small > 3, then : true, else : false })", "assert (message.small > 3)"),
    ("assert (math.uint16 (message.small) + 1 < 9)", "assert (message.small < 8)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "count"), CHANGED)
def test_what_changed_is_shown(old: str, new: str, count: int, kss: Command) -> None:
    """Each way in which it changed, with an example."""
    use = "use nk.basic._ use nk.regex._\n"
    changes = compare(kss, f"{use}{OPEN}{{ {old} }}", f"{use}{OPEN}{{ {new} }}")
    assert [change["old"] for change in changes] in [["denied", "granted"][:count], ["granted"]]
    assert len(changes) == count and all(change["example"] for change in changes)


@pytest.mark.parametrize(("old", "new"), SAME)
def test_equivalent_rules_are_no_change(old: str, new: str, kss: Command) -> None:
    use = "use nk.basic._ use nk.regex._\n"
    rules = [f"{use}{OPEN}{{ {rule} }}" for rule in (old, new)]
    assert compare(kss, *rules) == []
    assert compare(kss, *reversed(rules)) == []


class TestState:
    def test_history_leads_there(self, kss: Command) -> None:
        old = LIFE + OPEN + '{ life.allow { sid : src_sid, states : ["busy"] } }'
        (change,) = compare(kss, old, old + OPEN + "{ deny () }")
        assert (change["old"], change["new"]) == ("granted", "denied")
        assert [line["event"] for line in change["history"]] == ["execute", "request"]

    def test_transitions(self, kss: Command) -> None:
        """Only what depends on them has changed."""
        (change,) = compare(kss, LIFE, LIFE.replace('"idle" : ["busy"]', '"busy" : ["busy"]'))
        assert change["event"]["method"] == "Close"
        assert (change["old"], change["new"], len(change["history"])) == ("granted", "denied", 1)

    def test_a_set_with_an_entry(self, kss: Command) -> None:
        old = (
            "use nk.hashmap._ policy object seen : HashSet { type Entry = UInt32\n"
            "config = { set_size : 2, pool_size : 2 } }\n"
            "execute dst=bank.Vault { seen.init { sid : dst_sid } }\n"
            "request dst=bank.Vault, endpoint=back.bolt, method=Turn {\n"
            "seen.add { sid : dst_sid, entry : message.angle } }\n"
            f"{OPEN}{{ assert (seen.contains {{ sid : dst_sid, entry : 90 }}) }}"
        )
        changes = compare(kss, old, old.replace("entry : 90", "entry : 91"))
        assert {change["old"] for change in changes} <= {"granted", "denied"}
        assert changes[0]["history"][1]["message"] in ({"angle": 90}, {"angle": 91})

    def test_the_order_of_rules_on_different_objects(self, kss: Command) -> None:
        two = LIFE.split("execute")[0].replace("life", "second") + LIFE
        rules = ["life.fini { sid : src_sid }", "second.fini { sid : src_sid }"]
        first, second = (two + OPEN + "{" + "\n".join(each) + "}" for each in (rules, rules[::-1]))
        assert compare(kss, first, second) == []

    def test_effects_alone_are_no_change(self, kss: Command) -> None:
        """What a rule leaves behind is for those to tell that look at it."""
        old = (
            "use nk.staticmap._ policy object quota : StaticMap { type Value = UInt32\n"
            'config = { keys : { "n" : 7 }, pool_size : 2 } }\n'
            f'{OPEN}{{ quota.set {{ sid : src_sid, key : "n", value : 5 }} }}'
        )
        assert compare(kss, old, old.replace("value : 5", "value : message.amount")) == []
        seen = old + (
            OPEN + "{ quota.commit { sid : src_sid }\n"
            'assert (quota.get { sid : src_sid, key : "n" } == 5) }'
        )
        assert compare(kss, seen, seen.replace("value : 5", "value : 6")) != []

    def test_arguments_that_may_fail(self, kss: Command) -> None:
        """A rule whose argument cannot be evaluated denies."""
        rule = "life.fini { sid : math.uint32 (message.items.[0].id) }"
        old = f"use nk.basic._\n{LIFE}{OPEN}{{ assert (size (message.items) > 0) {rule} }}"
        assert compare(kss, old, old.replace("assert (size (message.items) > 0)", "")) == []

    def test_a_larger_pool(self, kss: Command) -> None:
        """Only the rule that a pool is for has changed."""
        old = (
            "use nk.hashmap._ policy object seen : HashSet { type Entry = UInt32\n"
            "config = { set_size : 2, pool_size : 1 } }\n"
            "execute dst=bank.Vault { seen.init { sid : dst_sid } }\n"
            f"{OPEN}{{ seen.add {{ sid : dst_sid, entry : message.amount }} }}"
        )
        changes = compare(kss, old, old.replace("pool_size : 1", "pool_size : 2"))
        assert {change["event"]["event"] for change in changes} == {"execute"}
        assert {(c["old"], c["new"], len(c["history"])) for c in changes} == {
            ("denied", "granted", 1)
        }

    def test_unknown_is_said(self, kss: Command) -> None:
        """Nothing leads to the state in which it would matter."""
        old = (
            LIFE.split("execute")[0] + OPEN + '{ life.allow { sid : src_sid, states : ["busy"] } }'
        )
        (change,) = compare(kss, old, old.replace('["busy"] } }', '["idle"] } }'))
        assert (change["old"], change["new"], change["example"]) == ("unknown", "unknown", None)
        assert kss("diff", "old.psl", "new.psl", "--engine", "reference") == 0
        reason = "they may differ in some state of the policy's objects, but not for"
        assert change["why"] == f"{reason} 2 events tried in 2 states"
        assert kss.out.splitlines()[0].endswith(f"door.Open: unknown: {change['why']}")

    @pytest.mark.parametrize("number", [20, 100])
    def test_many_rules_on_one_object(self, number: int, kss: Command) -> None:
        """What each has done is part of what the next one is asked."""
        rules = ['life.enter { sid : src_sid, state : "busy" }'] * number
        old = LIFE.replace('"idle" : ["busy"]', '"idle" : ["busy"], "busy" : ["busy"]')
        old += f"{OPEN}{{ {' '.join(rules)} }}"
        (change,) = compare(kss, old, old[:-2] + "deny () }")
        assert (change["old"], change["new"], change["why"]) == ("granted", "denied", None)

    def test_many_conditions_are_given_up(self, kss: Command) -> None:
        """The same ones in another order, of more cases than steps."""
        cases = [f"(message.amount == {2 * n} && message.delta == {n})" for n in range(400)]
        rules = [f"{OPEN}{{ assert ({' || '.join(each)}) }}" for each in (cases, cases[::-1])]
        (change,) = compare(kss, *rules)
        assert (change["old"], change["new"], change["example"]) == ("unknown", "unknown", None)
        told = re.fullmatch(r"given up after ([\d,]+) steps: there are too many .*", change["why"])
        assert told and guards.BUDGET <= int(told[1].replace(",", "")) < 2 * guards.BUDGET

    def test_all_interactions_share_a_budget(
        self, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(differences, "ALL_STEPS", guards.BUDGET // 2)
        cases = [f"(message.amount == {2 * n} && message.delta == {n})" for n in range(200)]
        pair = [
            Replay(each, Reference(each.tree))
            for order in (cases, cases[::-1])
            for each in [
                load(
                    "".join(
                        f"{OPEN.replace('bank.Teller', name)}{{ assert ({' || '.join(order)}) }}\n"
                        for name in ("bank.Teller", "bank.Vault")
                    )
                )
            ]
        ]
        changes = list(Diff(*pair).changes())
        steps = [int("".join(filter(str.isdigit, change.why))) for change in changes]
        assert len(steps) == 2 and steps[0] >= guards.BUDGET
        assert differences.FEW_STEPS <= steps[1] < 2 * differences.FEW_STEPS


class TestInterfaces:
    def test_a_class_that_one_policy_does_not_know(self, kss: Command) -> None:
        prelude = "use nk.base._\nuse EDL kl.core.Core\nuse EDL bank.Vault\n"
        kss.policy("response { grant () }", "old.psl", prelude)
        kss.policy("response { grant () }", "new.psl", prelude + "use EDL Einit\n")
        assert kss("diff", "old.psl", "new.psl", "--engine", "reference", "--json") == 0
        changes = json.loads(kss.out)["changed"]
        assert {change["event"]["dst"] for change in changes} == {"Einit"}
        assert {(c["old"], c["new"], c["policies"]["old"]) for c in changes} == {
            ("denied", "granted", None)
        }

    def across(self, kss: Command, *sides: tuple[str, str]) -> list[Any]:
        """The changes between two policies with interfaces of their own: (parameter, condition)."""
        for name, (parameter, condition) in zip(("one", "two"), sides, strict=True):
            folder = kss.folder / name
            (folder / "x").mkdir(parents=True, exist_ok=True)
            (folder / "x/S.edl").write_text("task class x.S\nendpoints { e : x.I }\n")
            types, _, parameter = parameter.rpartition("; ")
            interface = f"package x.I\n{types}\ninterface {{ M(in {parameter}); }}\n"
            (folder / "x/I.idl").write_text(interface)
            (folder / "security.psl").write_text(
                "use nk.base._ use EDL x.S use EDL Einit use EDL kl.core.Core\n"
                f"request src=Einit, dst=x.S, endpoint=e, method=M {{ assert ({condition}) }}"
            )
        files = ("one/security.psl", "two/security.psl")
        assert kss("diff", *files, "--engine", "reference", "--json") == 0
        found: list[Any] = json.loads(kss.out)["changed"]
        return found

    def test_a_type_that_changed(self, kss: Command) -> None:
        """An example is a message of both interfaces."""
        sides = (("UInt8 a", "message.a < 5"), ("UInt16 a", "message.a < 300"))
        (change,) = self.across(kss, *sides)
        assert (change["old"], change["new"]) == ("denied", "granted")
        assert 5 <= change["example"]["message"]["a"] < 256

    def test_a_wider_type_alone_is_no_change(self, kss: Command) -> None:
        rule = "message.a < 5"
        assert self.across(kss, ("UInt8 a", rule), ("UInt16 a", rule)) == []
        moved = "string<4> before, in UInt8 a"
        assert self.across(kss, ("UInt8 a", rule), (moved, rule)) == []

    def test_members_of_a_union_that_changed_places(self, kss: Command) -> None:
        """What is certain of their numbers is not of their names."""
        first = "union U { UInt8 a; UInt8 b; }; U u"
        second = "union U { UInt8 b; UInt8 a; }; U u"
        changes = self.across(kss, (first, "message.u.a == 1"), (second, "message.u.a == 1"))
        assert [change["example"] for change in changes] == [None]
        changes = self.across(kss, (first, "message.u.a >= 0"), (second, "message.u.b >= 0"))
        assert len(changes) == 1

    def test_stubs(self, kss: Command) -> None:
        text = "use EDL sdk.Thing\nrequest dst=sdk.Thing { grant () }"
        files = kss.policy(text, "old.psl"), kss.policy("use EDL sdk.Thing\n", "new.psl")
        assert kss("diff", *files, "--stub", "--engine", "reference") == 0
        assert kss.out == "0 changes\n"


# ---- random policies -------------------------------------------------------------


def verdict(tree: PolicyTree, change: Change, engine: Reference | Vm) -> bool:
    """That of the example after its history."""
    evaluation = Evaluation(Policy(tree), engine)
    for line in change.history:
        evaluation.judge(line)
    assert change.example is not None
    return bool(evaluation.judge(change.example)["verdict"] == "granted")


def unchanged_are_equal(old: PolicyTree, new: PolicyTree, keys: set[Any], rng: Random) -> int:
    """Random events, in equal states: the number of those whose verdict could have differed."""
    first, second = Reference(old, max_sids=3), Reference(new, max_sids=3)
    source, same = Events(rng, old), 0
    for event in (source.event() for _ in range(80)):
        second.restore(first.snapshot())
        if event.src_class is None or (event.dst_class is None and event.kind is not Kind.SECURITY):
            continue
        expected = first.judge(event)
        if expected.reason is Reason.MALFORMED:
            continue
        if interaction(old, first, event).key not in keys:
            assert second.judge(event).granted == expected.granted, event
            same += expected.reason is not Reason.DEFAULT
    return same


def test_random_changes(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples hold on both engines; what is not told has not changed."""
    monkeypatch.setattr(histories, "MOST_STATES", 20)
    monkeypatch.setattr(guards, "BUDGET", 300)
    seen: Counter[str] = Counter()
    for seed in range(28):
        rng = Random(seed)
        old = policy(rng)
        new = moved(changed(rng, old))
        pair = [Replay(Policy(tree), Reference(tree)) for tree in (old, new)]
        changes = list(Diff(*pair).changes())
        for change in changes:
            if change.verdicts is None:
                seen["unknown"] += 1
                continue
            seen["shown"] += 1
            for tree, granted in zip((old, new), change.verdicts, strict=True):
                for engine in (Reference(tree), Vm(compile_policy(tree), library)):
                    assert verdict(tree, change, engine) == granted, (seed, change)
        seen["same"] += unchanged_are_equal(old, new, {c.interaction.key for c in changes}, rng)
        assert list(Diff(pair[0], Replay(Policy(moved(old)), Reference(old))).changes()) == []
    assert seen["shown"] >= 6 and seen["same"] > 150, seen


def test_examples_are_lines_of_eval(load: Load) -> None:
    """All kinds of values survive the way into JSON and back."""
    use = "use nk.basic._ use nk.regex._\n"
    rule = (
        'assert (re.match { text : message.pin, pattern : "[^a]" }) '
        "assert (message.raw.[1] == 0xFE && message.delta == -5 && message.items.[2].value == -9)"
        'choice (message.either.text) { "é" : grant () }'
    )
    policies = [load(use + text) for text in ("", f"{OPEN}{{ {rule} }}")]
    (change,) = Diff(*(Replay(each, Reference(each.tree)) for each in policies)).changes()
    line = json.loads(json.dumps(change.example))
    message = line["message"]
    assert message["raw"].startswith("00fe") and message["delta"] == -5 and len(message["pin"]) == 1
    assert message["items"][2]["value"] == -9 and message["either"] == {"text": "é"}
    assert Evaluation(policies[1], Reference(policies[1].tree)).judge(line)["verdict"] == "granted"
    assert LIB.is_dir()
