"""kss explain: what it says of an event, and that it judges as the engines do."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kss.analysis.explain import Explainer
from kss.analysis.explain_report import Report
from kss.compiler import compile_policy
from kss.events import Kind, Reason
from kss.nearest import sections
from kss.reference import Reference
from kss.vm import Vm

from tests.analysis.command import Command
from tests.vm.generate import policy
from tests.vm.generate_events import Events

POLICY = """\
use nk.basic._ use nk.hashmap._ use nk.staticmap._ use nk.mic._ use nk.regex._
policy object life : Flow {
  type State = "idle" | "busy"
  config = { states : ["idle", "busy"], initial : "idle", transitions : { "idle" : ["busy"] } } }
policy object seen : HashSet { type Entry = [UInt8, UInt32] config = { set_size : 2, pool_size : 2 } }
policy object quota : StaticMap { type Value = UInt32 config = { keys : { "n" : 7 }, pool_size : 2 } }
policy object level : Mic { config = ["LOW", "HIGH"] }
execute dst=kl.core.Core { grant () }
execute dst=bank.Teller {
  life.init { sid : dst_sid } seen.init { sid : dst_sid } quota.init { sid : dst_sid }
  level.execute { image : (), target : dst_sid, level : "HIGH", levelR : "LOW" }
}
request src=bank.Teller, dst=bank.Vault, endpoint=door {
  match method=Open {
    life.allow { sid : src_sid, states : ["idle"] }
    assert (message.items.[message.small].id + 1 == 2 && message.amount < 9)
    seen.add { sid : src_sid, entry : [message.small, message.amount] }
    quota.set { sid : src_sid, key : "n", value : quota.get { sid : src_sid, key : "n" } - 1 }
  }
  match method=Close { choice (life.query { sid : src_sid }) { "busy" : grant () } }
  match method=mode {
    choice (level.query_level { source : src_sid }) { "LOW" : deny () _ : size (message) }
  }
}
request src=bank.Teller, dst=bank.Vault, endpoint=back.bolt { deny () }
security src=bank.Vault { life.fini { sid : message.h.handle } }
"""
START = {"event": "execute", "src": "Einit", "dst": "bank.Teller", "as": "clerk"}
ASK = {"event": "request", "src": "clerk", "dst": "bank.Vault", "endpoint": "door"}


@pytest.fixture
def ask(kss: Command) -> Any:
    """Explains an event after the start of the clerk; what is printed, or the document."""
    text = POLICY.replace("_ : size (message)", "_ : grant ()")
    (kss.folder / "before.jsonl").write_text(json.dumps(START) + "\n")

    def ask(event: dict[str, Any], *options: str) -> Any:
        arguments = ["--events", "before.jsonl", "--event", json.dumps(event)]
        assert kss("explain", kss.policy(text), *arguments, *options) == 0, kss.err
        return json.loads(kss.out) if "--json" in options else kss.out

    return ask


OPEN = {**ASK, "method": "Open", "message": {"items": [{"id": 1}], "amount": 3}}


class TestText:
    def test_granted(self, ask: Any) -> None:
        assert ask(OPEN) == (
            "granted: every rule called grants: security.psl:21, security.psl:22, "
            "security.psl:23, security.psl:24\n"
            "\n"
            "security.psl:19 request src=bank.Teller, dst=bank.Vault, endpoint=door\n"
            "  26: match does not: method=Close (it is Open)\n"
            "  27: match does not: method=mode (it is Open)\n"
            '  21: life.allow { sid : src_sid, states : ["idle"] }: granted\n'
            "      src_sid = clerk\n"
            '      life of clerk: "idle"\n'
            "  22: assert (message.items.[message.small].id + 1 == 2 && message.amount < 9): granted\n"
            "      message.small = 0\n"
            "      message.items.[message.small].id = 1\n"
            "      message.items.[message.small].id + 1 = 2\n"
            "      message.amount = 3\n"
            "  23: seen.add { sid : src_sid, entry : [message.small, message.amount] }: granted\n"
            "      src_sid = clerk\n"
            "      message.small = 0\n"
            "      message.amount = 3\n"
            "      [message.small, message.amount] = [0, 3]\n"
            "      seen of clerk: [] -> [[0, 3]]\n"
            '  24: quota.set { sid : src_sid, key : "n", value : quota.get { sid : src_sid, '
            'key : "n" } - 1 }: granted\n'
            "      src_sid = clerk\n"
            '      quota.get { sid : src_sid, key : "n" } = 7\n'
            '      quota.get { sid : src_sid, key : "n" } - 1 = 6\n'
            '      quota of clerk: {"base": {"n": 7}, "working": {"n": 7}} -> '
            '{"base": {"n": 7}, "working": {"n": 6}}\n'
            "\n"
            "security.psl:31 does not match: endpoint=back.bolt (it is door)\n"
            "\n"
            "seen of clerk is now [[0, 3]], was []\n"
            "\n"
            'quota of clerk is now {"base": {"n": 7}, "working": {"n": 6}}, was {"base": {"n": 7}, '
            '"working": {"n": 7}}\n'
        )

    @pytest.mark.parametrize(
        ("event", "sentence"),
        [
            (
                {**OPEN, "message": {"items": [{"id": 1}], "amount": 9}},
                "denied by security.psl:22: assert (message.items.[message.small].id + 1 == 2 && "
                "message.amount < 9), where message.small is 0 and "
                "message.items.[message.small].id is 1 and "
                "message.items.[message.small].id + 1 is 2 and message.amount is 9",
            ),
            (
                {**OPEN, "message": {"small": 4}},
                "denied by security.psl:22: assert (message.items.[message.small].id + 1 == 2 && "
                "message.amount < 9), which cannot be evaluated: index 4 of 0 elements",
            ),
            (
                {**OPEN, "src": "Einit"},
                "denied: no rule matches; nearest is security.psl:20, which wants src=bank.Teller",
            ),
            (
                {**OPEN, "message": {"pin": "123456789"}},
                "denied: the message does not conform to its interface: pin: a text of 9 bytes, at most 8",
            ),
            (
                {**ASK, "method": "Close"},
                "denied by security.psl:26: choice (life.query { sid : src_sid }), which has no "
                "branch for it, where src_sid is clerk and life.query { sid : src_sid } is "
                '"idle" and life of clerk is "idle"',
            ),
            (
                {**ASK, "endpoint": "back.bolt", "method": "Turn"},
                "denied by security.psl:31: deny ()",
            ),
            (
                {"event": "security", "src": "bank.Vault", "method": "Clear",
                 "message": {"h": {"handle": 77}}},
                "denied by security.psl:32: life.fini { sid : message.h.handle }, where "
                "message.h.handle is SID 77 and life of SID 77 is none",
            ),
            (
                {"event": "execute", "src": "bank.Vault", "dst": "Einit"},
                "denied: no rule matches; none comes near: no execute rule names anything of this "
                "event",
            ),
        ],
    )  # fmt: skip
    def test_a_denial_in_one_sentence(self, event: Any, sentence: str, ask: Any) -> None:
        assert ask(event).splitlines()[0] == sentence

    def test_the_last_of_the_events(self, kss: Command) -> None:
        lines = "\n".join(json.dumps(each) for each in (START, {**ASK, "method": "Close"}))
        policy = kss.policy(POLICY.replace("_ : size (message)", "_ : grant ()"))
        assert kss("explain", policy, "--events", "-", stdin=lines) == 0
        assert kss.out.startswith("denied by security.psl:26: choice (life.query")

    def test_levels_by_name(self, ask: Any) -> None:
        assert '      level.query_level { source : src_sid } = "HIGH"\n' in ask(
            {**ASK, "method": "mode"}
        )
        shown = ask({**START, "as": "other"}, "--json")
        last = shown["bindings"][0]["rules"][-1]
        assert last["state_after"]["level"] == {"other": {"level": "HIGH", "levelR": "LOW"}}
        assert last["state_before"]["level"] == {"other": None}


class TestJson:
    def test_shape(self, ask: Any) -> None:
        shown = ask(OPEN, "--json")
        assert (shown["verdict"], shown["reason"]) == ("granted", "rules")
        near = [(b["line"], b["matched"], len(b["rules"])) for b in shown["bindings"]]
        assert near == [(19, True, 4), (31, False, 0)]
        assert shown["bindings"][1]["misses"] == [
            {"selector": "endpoint", "wanted": "back.bolt", "given": "door"}
        ]
        inner = [(s["line"], s["matched"]) for s in shown["bindings"][0]["sections"]]
        assert inner == [(20, True), (26, False), (27, False)]
        allow = shown["bindings"][0]["rules"][0]
        assert allow == {
            "file": "security.psl",
            "line": 21,
            "object": "life",
            "method": "allow",
            "text": 'life.allow { sid : src_sid, states : ["idle"] }',
            "result": "granted",
            "branch": None,
            "values": {"src_sid": "clerk"},
            "state_before": {"life": {"clerk": "idle"}},
            "state_after": {"life": {"clerk": "idle"}},
            "why": None,
        }
        assert shown["state_after"]["seen"] == {"clerk": [[0, 3]]}

    def test_a_denial_changes_nothing(self, ask: Any) -> None:
        shown = ask({**OPEN, "message": {"items": [{"id": 2}]}}, "--json")
        rules = shown["bindings"][0]["rules"]
        assert [rule["result"] for rule in rules] == ["granted", "denied", "granted", "granted"]
        assert rules[2]["state_after"] == {"seen": {"clerk": [[0, 0]]}}
        assert shown["state_before"] == shown["state_after"] == {}


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--event", "{"], "--event: no JSON"),
            (["--event", "[]"], "--event: an event is a JSON object"),
            (["--event", "[" * 100_000], "--event: no JSON"),
            (
                ["--event", '{"event": "execute", "dst": "bank.Tellr"}'],
                "did you mean 'bank.Teller'",
            ),
            (["--event", "{}", "--events", "nowhere"], "cannot read nowhere"),
            ([], "which event? Give --event JSON, or --events FILE"),
            (["--events", "empty"], "--events empty: there is no event"),
            (["--event", "{}", "--events", "-"], "--events -: line 2: event is missing"),
        ],
    )
    def test_is_told(self, arguments: list[str], words: str, kss: Command) -> None:
        (kss.folder / "empty").touch()
        assert kss("explain", kss.policy(""), *arguments, stdin="\n{}\n") == 2
        assert words in kss.err and kss.out == ""

    def test_most_bindings_are_only_counted(self, kss: Command) -> None:
        text = "request src=bank.Teller, dst=Einit { grant () }\n" * 40
        event = json.dumps({**OPEN, "src": "bank.Teller"})
        assert kss("explain", kss.policy(text), "--event", event) == 0
        assert kss.out.count("does not match") == 5
        assert kss.out.endswith("and 35 more that do not match (--all lists them)\n")
        assert kss("explain", kss.policy(text), "--event", event, "--all") == 0
        assert kss.out.count("does not match") == 40


@pytest.mark.parametrize("seed", range(30))
def test_it_judges_as_the_engines_do(seed: int, library: Path) -> None:
    rng = Random(seed)
    tree = policy(rng)
    explainer = Explainer(tree, max_sids=3)
    engines = (Reference(tree, max_sids=3), Vm(compile_policy(tree, max_sids=3), library))
    source, conditions = Events(rng, tree), sections(tree)
    for _ in range(60):
        event = source.event()
        decision = explainer.judge(event)
        assert all(engine.judge(event) == decision for engine in engines)
        assert explainer.state() == engines[0].state() == engines[1].state()
        told = explainer.last
        assert told is not None
        report = Report(told, {1: "one"}, conditions)
        json.dumps(report.json())
        assert next(report.lines()) == report.sentence()
        called = [call for each in told.sections for call in each.calls if call.result]
        if decision.reason in (Reason.RULES, Reason.ERROR):
            assert [(call.site.id, call.result) for call in called] == list(decision.calls)
            expected = [b for b in tree.bindings if b.kind is event.kind]
            assert len(told.sections) <= len(expected)
        assert all(not section.calls for section in told.sections if section.misses)
        assert (event.kind is Kind.SECURITY) <= (told.facts["dst"] is None)
