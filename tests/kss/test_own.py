"""Users' own models, and the two that come along: what they mean, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kss.api import Policy
from kss.errors import DescriptionError, Findings
from kss.events import Event, Kind, Reason
from kss.models import MODELS
from kss.own.parse import MAX_TEXT, parse_model
from kss.reference import Reference
from kss.source import Source
from kss.vm import Vm

from tests.kss.conftest import PRELUDE, Load, Start
from tests.kss.test_semantics import EINIT, TELLER, VAULT, open_door

LIMITER = '''"""At most `most` uses for each SID, until it is started again."""


class Limiter:
    class config:
        most: UInt16

    class context:
        used: UInt16 = 0
        last: SInt64 = -1
        state: "fresh" | "busy" | "spent" = "fresh"
        seen: Set["red" | "blue" | "green"] = {}

    def init(sid: Sid) -> Rule:
        if has(sid):
            drop(sid)
        create(sid, last=-5)
        return True

    def left(sid: Sid) -> UInt16:
        return most - used[sid]

    def state_of(sid: Sid) -> "fresh" | "busy" | "spent":
        return state[sid]

    def use(sid: Sid, colour: "red" | "blue" | "green") -> Rule:
        if left(sid) == 0:
            return False
        used[sid] += 1
        last[sid] *= -1000000000000000000
        seen[sid] |= {colour}
        if left(sid) == 0:
            state[sid] = "spent"
        else:
            state[sid] = "busy"
        return True
'''
OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open { %s }\n"
START = "execute { grant () %s }\n"


@pytest.fixture
def own(load: Load, tmp_path: Path) -> Callable[[str, str], Policy]:
    """Loads a policy that uses a model."""

    def own(model: str, text: str) -> Policy:
        (tmp_path / "own.model").write_text(model)
        return load(text, PRELUDE + "use own._\n")

    return own


def started(sid: int, dst: int = TELLER) -> Event:
    return Event(Kind.EXECUTE, EINIT, dst, 1, sid)


def verdicts(engine: Reference | Vm, policy: Policy, *sids: int) -> str:
    """The reason's initial of each denial of an `Open` with these SIDs as amounts, g if granted."""
    found = ""
    for sid in sids:
        decision = engine.judge(open_door(policy, amount=sid))
        found += "g" if decision.granted else decision.reason.value[0]
    return found


class TestLimiter:
    OBJECT = "policy object limit : Limiter { config = { most : 2 } }\n"
    TEXT = (
        OBJECT
        + START % "limit.init { sid : dst_sid }"
        + OPEN % 'limit.use { sid : message.amount, colour : "green" }'
    )

    def test_counts(self, own: Callable[[str, str], Policy], start: Start) -> None:
        policy = own(LIMITER, self.TEXT)
        engine = start(policy)
        assert all(engine.judge(started(sid)).granted for sid in (7, 8))
        assert verdicts(engine, policy, 7, 8, 9, 0) == "ggee"
        shown = {"used": 1, "last": 5 * 10**18, "state": "busy", "seen": ["green"]}
        assert engine.state() == {"limit": {7: shown, 8: shown}}

    def test_an_error_within_a_rule_undoes_what_it_did(
        self, own: Callable[[str, str], Policy], start: Start
    ) -> None:
        policy = own(LIMITER, self.TEXT)
        engine = start(policy)
        engine.judge(started(7))
        assert verdicts(engine, policy, 7) == "g"
        before = engine.state()
        decision = engine.judge(open_door(policy, amount=7))  # `last` overflows
        assert decision.reason is Reason.ERROR and [r.value for _, r in decision.calls] == [
            "failed"
        ]
        assert engine.state() == before

    def test_a_full_pool_is_an_error(self, own: Callable[[str, str], Policy], start: Start) -> None:
        engine = start(own(LIMITER, self.TEXT), max_sids=2)
        decisions = [engine.judge(started(sid)) for sid in (5, 6, 7, 6)]
        assert [each.granted for each in decisions] == [True, True, False, True]
        assert decisions[2].reason is Reason.ERROR

    def test_expressions_have_values(self, own: Callable[[str, str], Policy], start: Start) -> None:
        text = (
            self.OBJECT
            + START % "limit.init { sid : dst_sid }"
            + OPEN
            % """choice (limit.state_of { sid : src_sid }) {
                "fresh" : limit.use { sid : src_sid, colour : "red" }
                "busy" : assert (limit.left { sid : src_sid } == message.amount) }"""
        )
        policy = own(LIMITER, text)
        engine = start(policy)
        engine.judge(started(7))
        assert verdicts(engine, policy, 0, 2, 1) == "grg"

    def test_state_is_kept_by_the_same_model_only(
        self, own: Callable[[str, str], Policy], start: Start
    ) -> None:
        def kept(model: str, text: str) -> tuple[str, ...]:
            new = start(own(model, text))
            return new.take_over(old)  # type: ignore[arg-type]

        old = start(own(LIMITER, self.TEXT))
        old.judge(started(7))
        same = LIMITER.replace("At most", "No more than").replace("-> Rule:", "-> Rule:  # grants")
        assert kept(same, self.TEXT) == ("limit",)
        assert kept(LIMITER.replace("== 0", "<= 0"), self.TEXT) == ()
        assert kept(LIMITER, self.TEXT.replace("most : 2", "most : 3")) == ()

    def test_audit_profiles_may_name_it(
        self, own: Callable[[str, str], Policy], start: Start
    ) -> None:
        profile = (
            'audit profile p = { 0 : { limit : { kss : ["denied"] } } }\naudit default = p 0\n'
        )
        text = self.TEXT.replace("limit.use {", "audit p limit.use {")
        policy = own(LIMITER.replace("last[sid] *= -1", "last[sid] = 1"), profile + text)
        engine = start(policy)
        engine.judge(started(7))
        found = []
        for _ in range(3):
            engine.judge(open_door(policy, amount=7))
            found.append(engine.recorded is not None and len(engine.recorded.calls))
        assert found == [False, False, 1]


def test_what_a_method_depends_on(load: Load) -> None:
    """So that `kss diff` tells only what a change of the configuration is about."""

    def meanings(text: str) -> dict[str, str | None]:
        thing = load(text + "execute { grant () }", USE).tree.objects[-1]
        methods = MODELS["Record"].signatures({}, thing.config)
        return {name: MODELS["Record"].meaning(thing.config, name) for name in methods}

    before = meanings(RBAC)
    after = meanings(RBAC.replace('"boss" : ["shut"]', '"boss" : ["open"]'))
    assert {name for name in before if before[name] != after[name]} == {"check", "granted"}
    after = meanings(RBAC.replace('"clerk" : ["auditor"]', '"boss" : ["auditor"]'))
    assert {name for name in before if before[name] != after[name]} == {"assign", "is_separated"}


RBAC = """policy object access : Rbac { config = {
    roles : ["clerk", "boss", "auditor", "chief"], permissions : ["open", "shut"],
    juniors : { "boss" : ["clerk"], "chief" : ["boss"] },
    grants : { "clerk" : ["open"], "boss" : ["shut"] },
    excludes : { "clerk" : ["auditor"] } } }
"""


def rule(load: Load, start: Start, declared: str, *calls: str) -> Callable[..., str]:
    """An engine in which `Open` with amount N is the Nth call."""
    assert len(calls) < 20
    branches = " ".join(f"{number} : {call}" for number, call in enumerate(calls))
    policy = load(declared + OPEN % f"choice (message.amount) {{ {branches} }}", USE)
    engine = start(policy)
    return lambda *numbers: verdicts(engine, policy, *numbers)


USE = PRELUDE + "use kss.rbac._\nuse kss.capability._\n"
ACCESS = [
    "access.init { sid : src_sid }",
    'access.assign { sid : src_sid, role : "clerk" }',
    'access.assign { sid : src_sid, role : "chief" }',
    'access.assign { sid : src_sid, role : "auditor" }',
    'access.revoke { sid : src_sid, role : "chief" }',
    'access.check { sid : src_sid, permission : "open" }',
    'access.check { sid : src_sid, permission : "shut" }',
    'assert (access.has_role { sid : src_sid, role : "boss" })',
    "access.fini { sid : src_sid }",
]
INIT, CLERK, CHIEF, AUDITOR, NO_CHIEF, MAY_OPEN, MAY_SHUT, IS_BOSS, FINI = range(9)


class TestRbac:
    def test_roles_have_permissions(self, load: Load, start: Start) -> None:
        asked = rule(load, start, RBAC, *ACCESS)
        assert asked(MAY_OPEN, CLERK, FINI) == "rrr"
        assert asked(INIT, INIT, MAY_OPEN, NO_CHIEF) == "grrr"
        assert asked(CLERK, MAY_OPEN, MAY_SHUT, IS_BOSS) == "ggrr"
        assert asked(FINI, MAY_OPEN, INIT, MAY_OPEN) == "grgr"

    def test_a_senior_has_what_all_its_juniors_have(self, load: Load, start: Start) -> None:
        asked = rule(load, start, RBAC, *ACCESS)
        assert asked(INIT, CHIEF, MAY_OPEN, MAY_SHUT, IS_BOSS) == "ggggg"
        assert asked(NO_CHIEF, MAY_OPEN, MAY_SHUT, IS_BOSS) == "grrr"

    def test_duties_are_separated_also_if_inherited(self, load: Load, start: Start) -> None:
        asked = rule(load, start, RBAC, *ACCESS)
        assert asked(INIT, AUDITOR, CLERK, CHIEF, AUDITOR) == "ggrrg"
        assert asked(FINI, INIT, CHIEF, AUDITOR, NO_CHIEF, AUDITOR) == "gggrgg"


CAPABILITY = 'policy object file : Capability { config = { rights : ["r", "w"], depth : 2 } }\n'
FILE = [
    'file.grant { sid : 1, some : ["r", "w"] }',
    'file.delegate { sid : 1, to : 2, some : ["r"] }',
    'file.delegate { sid : 2, to : 3, some : ["r"] }',
    'file.delegate { sid : 2, to : 3, some : ["r", "w"] }',
    'file.delegate { sid : 3, to : 4, some : ["r"] }',
    'file.delegate { sid : 2, to : 1, some : ["r"] }',
    "file.revoke { sid : 1, of : 2 }",
    "file.revoke { sid : 1, of : 3 }",
    "file.withdraw { sid : 1 }",
    'file.check { sid : 1, right : "w" }',
    'file.check { sid : 2, right : "r" }',
    'file.check { sid : 3, right : "r" }',
    'assert (file.allowed { sid : 2, right : "w" })',
]
GRANT, TO_2, TO_3, MORE_TO_3, TO_4, BACK, TAKE_2, TAKE_3, WITHDRAW, W1, R2, R3, W2 = range(13)


class TestCapability:
    def test_rights_are_handed_on_and_never_grow(self, load: Load, start: Start) -> None:
        asked = rule(load, start, CAPABILITY, *FILE)
        assert asked(TO_2, W1, GRANT, W1, R2, TO_2, R2, W2) == "rrggrggr"
        assert asked(MORE_TO_3, R3, TO_3, R3, TO_2, TO_4, BACK) == "rrggrrr"  # 4 would be too far

    def test_what_was_handed_on_ends_with_its_origin(self, load: Load, start: Start) -> None:
        asked = rule(load, start, CAPABILITY, *FILE)
        assert asked(GRANT, TO_2, TO_3, TAKE_3, R3, TAKE_2, R2, R3, W1) == "gggrggrrg"
        assert asked(TO_2, R2, R3) == "ggr"  # given again, what 2 had handed on does not return
        assert asked(TO_3, WITHDRAW, R2, R3, GRANT, R2, W1) == "ggrrgrg"

    def test_it_ends_with_its_giver(self, load: Load, start: Start) -> None:
        policy = load(CAPABILITY + OPEN % " ".join(FILE[n] for n in (GRANT, TO_2, TO_3)), USE)
        engine = start(policy)
        assert verdicts(engine, policy, 0) == "g"
        engine.release(2)
        assert sorted(engine.state()["file"]) == [1, 3]


# ---- hostile texts -------------------------------------------------------------

HOSTILE = {
    "nested": "class A:\n    x = " + "(" * 3000 + ")" * 3000,
    "chained": "class A:\n    def f() -> Rule:\n        return " + "1 + " * 15000 + "1",
    "nots": "class A:\n    def f() -> Rule:\n        return " + "not " * 10000 + "True",
    "elif": "class A:\n    def f() -> Rule:\n        if True:\n            return True\n"
    + "        elif True:\n            return True\n" * 900,
    "nul": "class A:\n    def f\0() -> Rule: return True",
    "digits": "class A:\n    def f() -> Rule: return 1 < " + "9" * 9000,
    "large": "#" * (MAX_TEXT + 1),
    "empty": "",
    "escape": 'class A:\n    def f() -> Rule: return "\\d" == "\\q"',
    "bytes": "class A:\n    def f() -> Rule: return b'' == 1.5",
    "lines": "class A:\n    def f() -> Rule:\n        return \u2028 1",
    "long name": f"class {'A' * 5000}:\n    pass",
    "star": "class A:\n    def f(*, a: Sid) -> Rule:\n        return True",
    "unpack": "class A:\n    class context:\n        u: UInt8\n    def f() -> Rule:\n"
    "        create(1, **2)\n        return True",
    "alternatives": "class A:\n    def f(a: "
    + '"a" | ' * 900
    + '"b") -> Rule:\n        return True',
    "async": "class A:\n    async def f() -> Rule:\n        return True",
    "type comment": "class A:\n    def f(a: Set[Set[Sid]]) -> Rule:\n        return True",
    "walrus": "class A:\n    def f(a: Sid) -> Rule:\n        return (b := a) == a",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_refused_with_a_place(name: str) -> None:
    findings = Findings()
    assert parse_model(Source("a.model", HOSTILE[name]), findings) is None
    lines = HOSTILE[name].count("\n") + 1
    assert findings.errors and all(1 <= f.line <= lines for f in findings.items), findings.items


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("seen", "in class context"),
        ("most", "in class config"),
        ("look", "a method"),
        ("has", "a function that models have"),
        ("sid", "a parameter or variable"),
        ("config", "models have it from the start"),
    ],
)
def test_a_name_that_is_taken_says_by_what(name: str, what: str) -> None:
    text = (
        "class A:\n    class config:\n        most: UInt8\n    class context:\n        seen: UInt8 = 0\n"
        "    def look(sid: Sid) -> Rule:\n        return True\n"
    )
    findings = Findings()
    method = "config" if name == "config" else "again"
    parameters = "sid: Sid" if method == "config" else f"sid: Sid, {name}: UInt8"
    more = f"    def {method}({parameters}) -> Rule:\n        return True\n"
    if name == "sid":
        more = "    def again(sid: Sid) -> Rule:\n        sid: UInt8 = 1\n        return True\n"
    assert parse_model(Source("a.model", text + more), findings) is None
    [found] = findings.items
    assert (found.rule, found.line) == ("MODEL-002", 9 if name == "sid" else 8)
    assert found.message.startswith(f"the name {name} is taken: ")
    assert found.message.endswith(what)


def test_nothing_of_a_model_is_executed(own: Callable[[str, str], Policy], tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with pytest.raises(DescriptionError, match="MODEL-001"):
        own(f"open({str(mark)!r}, 'w')\n" + LIMITER, TestLimiter.TEXT)
    assert not mark.exists()


def test_two_models_of_one_name(load: Load, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.model").write_text(LIMITER)
    with pytest.raises(DescriptionError, match="there is already a model Limiter"):
        load("execute { grant () }", PRELUDE + "use one._\nuse two._\n")


def test_a_name_passes_from_one_object_to_another(
    own: Callable[[str, str], Policy], start: Start
) -> None:
    """The numbers of the names differ there."""
    model = """class Two:
    class config:
        others: Texts

    class context:
        at: "a" | "b" = "a"

    def init(sid: Sid, at_: "a" | "b") -> Rule:
        create(sid, at=at_)
        return True

    def is_in(name: "a" | "b", some: Set[others], one: others) -> Boolean:
        return name == "b" and one in some

    def where(sid: Sid) -> "a" | "b":
        return at[sid]
"""
    text = (
        'policy object p : Two { config = { others : ["b", "a"] } }\n'
        'policy object q : Two { config = { others : ["x", "b"] } }\n'
        + START % 'p.init { sid : dst_sid, at_ : "b" } q.init { sid : dst_sid, at_ : "a" }'
        + OPEN
        % """choice (message.amount) {
        0 : assert (q.is_in { name : p.where { sid : src_sid }, some : ["x", "b"], one : "b" })
        1 : assert (p.is_in { name : q.where { sid : src_sid }, some : ["a"], one : "a" })
        2 : assert (q.is_in { name : [p.where { sid : src_sid }].[0], some : [], one : "b" }) }"""
    )
    policy = own(model, text)
    engine = start(policy)
    assert engine.judge(started(7, VAULT)).granted
    assert verdicts(engine, policy, 0, 1, 2) == "grr"
