"""kss query: what it prints, and what of a policy it sees through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kss.analysis.decide import Verdict
from kss.analysis.guards import Wanted
from kss.analysis.query import Query
from kss.events import Kind

from tests.analysis.command import Command
from tests.kss.conftest import Load

POLICY = """\
policy object life : Flow {
  type State = "idle" | "busy"
  config = { states : ["idle", "busy"], initial : "idle", transitions : { "idle" : ["busy"] } } }
execute src=kl.core.Core, dst=Einit { grant () }
execute src=Einit, dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault {
  match endpoint=door, method=Open {
    life.enter { sid : src_sid, state : "busy" }
    assert (message.items.[0].id == 1 && message.amount <= 100)
    deny (message.small > 200 || message.delta < 0)
    assert (message.small >= 0)
  }
  match endpoint=door, method=Close { deny () }
  match endpoint=back.bolt {
    choice (message.angle) {
      90 : grant ()
      180 : { assert (src_sid != dst_sid) life.allow { sid : src_sid, states : ["idle"] } }
      _ : deny ()
    }
  }
  match endpoint=interface, method=mode {
    assert (message.message < 5)
    assert (message.message > 4)
  }
}
response src=bank.Vault, endpoint=door, method=Open { grant () }
security src=bank.Vault, method=Clear { life.fini { sid : message.h.handle } }
"""
SHOWN = """\
kind      from          to             endpoint and method  verdict
execute   kl.core.Core  Einit                               granted  security.psl:10
execute   Einit         bank.Teller                         conditional
    life.init {{ sid : dst_sid }}  security.psl:11
request   bank.Teller   bank.Vault     back.bolt.Turn       conditional
    choice (message.angle)  security.psl:21
      90 : granted  security.psl:22
      180 :
        src_sid != dst_sid  security.psl:23
        life.allow {{ sid : src_sid, states : ["idle"] }}  security.psl:23
      _ : denied  security.psl:24
request   bank.Teller   bank.Vault     door.Open            conditional
    life.enter {{ sid : src_sid, state : "busy" }}  security.psl:14
    message.items.[0].id == 1  security.psl:15
    message.amount <= 100  security.psl:15
    message.small <= 200  security.psl:16
    message.delta >= 0  security.psl:16
request   bank.Teller   bank.Vault     door.Close           denied  security.psl:19
request   bank.Teller   bank.Vault     interface.mode       denied: these never hold together
    message.message < 5  security.psl:28
    message.message > 4  security.psl:29
response  bank.Vault    (every class)  door.Open            granted  security.psl:32
security  bank.Vault                   Clear                conditional
    life.fini {{ sid : message.h.handle }}  security.psl:33
{untold} more are denied: no rule is for them (--denied lists them)
"""


class TestCommand:
    def test_text(self, kss: Command) -> None:
        """What no rule is for is counted; how much that is depends on the kernel's endpoints."""
        assert kss("query", kss.policy(POLICY), "--json") == 0
        untold = sum(not row["rules"] for row in _rows(kss))
        assert untold > 100
        assert kss("query", kss.policy(POLICY)) == 0
        assert kss.out == SHOWN.format(untold=untold)

    @pytest.mark.parametrize(
        ("options", "rows"),
        [
            (["--conditional", "--kind", "request"], ["back.bolt.Turn", "door.Open"]),
            (["--granted", "--src", "bank.Vault", "--dst", "Einit"], ["door.Open"]),
            (["--method", "Close", "--src", "bank.Teller", "--endpoint", "door"], ["door.Close"]),
            (["--dst", "bank.Vault", "--src", "Einit", "--method", "mode"], []),
        ],
    )
    def test_what_is_asked(self, options: list[str], rows: list[str], kss: Command) -> None:
        assert kss("query", kss.policy(POLICY), *options, "--json") == 0
        shown = [f"{r['endpoint']}.{r['method']}" for r in _rows(kss) if r["rules"]]
        assert shown == rows

    def test_json(self, kss: Command) -> None:
        assert kss("query", kss.policy(POLICY), "--method", "mode", "--endpoint", "interface") == 0
        assert kss("query", kss.policy(POLICY), "--json", "--src", "bank.Teller") == 0
        rows = _rows(kss)
        places = [{"file": "security.psl", "line": line} for line in (28, 29)]
        texts = ["message.message < 5", "message.message > 4"]
        assert [row for row in rows if row["method"] == "mode" and row["rules"]] == [
            {
                "kind": "request",
                "src": "bank.Teller",
                "dst": "bank.Vault",
                "endpoint": "interface",
                "method": "mode",
                "interface": "bank.IDoor",
                "component": None,
                "verdict": "denied",
                "stub": None,
                "stub_peer": False,
                "never": None,
                "condition": " && ".join(texts),
                "conditions": [{"text": t, **p} for t, p in zip(texts, places, strict=True)],
                "rules": places,
            }
        ]
        turn = next(row for row in rows if row["endpoint"] == "back.bolt")
        assert turn["condition"] == (
            "choice (message.angle) { 90 : granted, 180 : src_sid != dst_sid && "
            'life.allow { sid : src_sid, states : ["idle"] }, _ : denied }'
        )
        branches = turn["conditions"][0]["branches"]
        assert [(b["label"], b["verdict"]) for b in branches] == [
            ("90", "granted"),
            ("180", "conditional"),
            ("_", "denied"),
        ]

    @pytest.mark.parametrize(
        ("option", "name", "help"),
        [
            ("--src", "bank.Tellr", "the policy has no class bank.Tellr\n  help: did you mean"),
            (
                "--endpoint",
                "doors",
                "the policy has no endpoint doors\n  help: did you mean 'door'",
            ),
        ],
    )
    def test_unknown_names(self, option: str, name: str, help: str, kss: Command) -> None:
        assert kss("query", kss.policy(POLICY), option, name) == 2
        assert help in kss.err and kss.out == ""

    def test_narrow_screens(self, kss: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kss.cli.columns.width", lambda: 60)
        assert kss("query", kss.policy(POLICY), "--conditional", "--kind", "request") == 0
        assert max(map(len, kss.out.splitlines())) <= 60

    def test_a_policy_that_grants_nothing(self, kss: Command) -> None:
        assert kss("query", kss.policy(""), "--granted") == 0
        assert kss.out == "none\n"


def _rows(kss: Command) -> list[Any]:
    found = json.loads(kss.out)["rows"]
    assert isinstance(found, list)
    return found


HEAD = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open "
SEEN = [
    ("assert (message.small >= 0)", "granted", None),
    ("assert (message.small <= 255)", "granted", None),
    ("assert (message.small + 1 < 250)", "conditional", "message.small + 1 < 250"),
    ("assert (message.small <= 300 - 45)", "granted", None),
    ("assert (size (message.trio) == 3)", "granted", None),
    ("assert (message.trio.[2] >= 0)", "granted", None),
    ("assert (message.items.[0].id >= 0)", "conditional", "message.items.[0].id >= 0"),
    ("assert (message.either.number >= 0)", "conditional", "message.either.number >= 0"),
    ("assert (size (message.items) > 0) assert (message.items.[0].id >= 0)", "conditional", None),
    ("assert (size (message.items) <= 4)", "granted", None),
    ("assert (size (message.pin) <= 8)", "granted", None),
    ("assert (size (message.pin) > 8)", "denied", "size (message.pin) > 8"),
    ("assert (message.small == 1) assert (message.small == 2)", "denied", None),
    ("assert (message.amount <= 9 || message.amount >= 10)", "granted", None),
    ("assert ((message.small & 0x0F) <= 15)", "granted", None),
    ("deny (message.small == 1) deny (message.small != 1)", "denied", None),
    ("choice (message.small) { 0 : grant () _ : grant () }", "granted", None),
    ("choice (message.small) { 0 : grant () _ : { } }", "conditional", None),
    ('choice (message.pin) { "" : grant () _ : assert (size (message.pin) > 0) }', "granted", None),
    ('choice (message.pin) { "a" : assert (size (message.pin) == 2) }', "denied", None),
    (
        'assert (re.match { text : message.pin, pattern : "a+" }) '
        'deny (re.match { text : message.pin, pattern : "[a-c]*" })',
        "denied",
        None,
    ),
    (
        'choice (re.select { text : message.pin }) { "a.*" : grant () ".*" : grant () }',
        "granted",
        None,
    ),
    ('assert (re.match { text : message.pin, pattern : ".{9,}" })', "denied", None),
    ("assert (math.sum (message.trio) >= 0)", "conditional", None),
    ("assert ([1, 2].[message.small] > 0)", "conditional", "[1, 2].[message.small] > 0"),
    ("assert ([1, 2].[message.small & 1] > 0)", "granted", None),
    ("assert (message.trio.[message.small & 3] >= 0)", "conditional", None),
    ("assert (message.delta * 0 == 0)", "granted", None),
    ("set_level (message.small)", "granted", None),
    ("choice (message.small == 1) { true : grant () false : deny () }", "conditional", None),
    ("deny (message.small > 4 && message.amount > 5)", "conditional",
     "message.small <= 4 || message.amount <= 5"),
    ("deny (message.small == 1 ==> message.amount == 2)", "conditional",
     "message.small == 1 && message.amount != 2"),
    ("assert (!bool.any [message.small == 1, message.small == 2])", "conditional",
     "!bool.any [message.small == 1, message.small == 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "verdict", "condition"), SEEN)
def test_what_is_seen_through(rule: str, verdict: str, condition: str | None, load: Load) -> None:
    policy = load(f"use nk.basic._ use nk.regex._\n{HEAD} {{ {rule} }}").tree
    query = Query(policy)
    wanted = Wanted(Kind.REQUEST, "bank.Teller", "bank.Vault", "door", "Open")
    (row,) = (query.json(row) for row in query.rows(wanted))
    assert row["verdict"] == verdict
    assert condition in (None, row["condition"])


def test_rules_of_several_bindings_add_up(load: Load) -> None:
    policy = load(
        f"request dst=bank.Vault {{ grant () }} {HEAD} {{ deny () }}"
        "request src=Einit { assert (src_sid == src_sid) }"
    ).tree
    found = {row.interaction.key: row.verdict for row in Query(policy).rows()}
    key = ("request", "bank.Teller", "bank.Vault", "door")
    assert found[(*key, "Open")] is Verdict.DENIED
    assert found[(*key, "Close")] is Verdict.GRANTED


def test_two_choices_of_which_one_must_call_a_rule(load: Load) -> None:
    first = "choice (message.small) { 1 : grant () _ : { } }"
    policy = load(f"{HEAD} {{ {first} {first.replace('small', 'amount')} }}").tree
    query = Query(policy)
    (row,) = (row for row in query.rows(verdicts=[Verdict.CONDITIONAL]))
    assert row.conditions.conditions[0].branches[1][1].outcome == "uncalled"
