"""What a policy means, case by case, on both engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from kss.api import Policy
from kss.events import Decision, Event, Kind, Reason, Result
from kss.message import encode

from tests.kss.conftest import Load, Start

CORE, EINIT, TELLER, VAULT = range(4)
DOOR, INTERFACE = 3, 4
OPEN = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open { %s }\n"
FLOW = """policy object life : Flow {
  type State = "idle" | "busy" | "done"
  config = { states : ["idle", "busy", "done"], initial : "idle",
             transitions : { "idle" : ["busy", "idle"], "busy" : ["done"] } } }
"""


def message(policy: Policy, endpoint: int, method: str, kind: Kind, **values: object) -> bytes:
    found = policy.layout("bank.Vault").endpoints[endpoint].interface.method(method)
    assert found is not None and kind.direction is not None
    kinds = found.message(kind.direction)
    return encode(kinds, values, riid=endpoint, mid=found.mid)


def open_door(policy: Policy, src: int = TELLER, sid: int = 7, **values: object) -> Event:
    data = message(policy, DOOR, "Open", Kind.REQUEST, **values)
    return Event(Kind.REQUEST, src, VAULT, sid, 8, data)


def results(decision: Decision) -> str:
    return "".join(result.value[0] for _, result in decision.calls)


# ---- which rules are called ------------------------------------------------


def test_no_rule_is_denied_by_default(load: Load, start: Start) -> None:
    policy = load(
        "request src=bank.Vault { grant () }\n" + OPEN % "match src=bank.Vault { grant () }"
    )
    assert start(policy).judge(open_door(policy)) == Decision(False, Reason.DEFAULT)


def test_all_matching_bindings_must_grant(load: Load, start: Start) -> None:
    policy = load("request { grant () }\n" + OPEN % "deny (message.amount > 5) grant ()")
    assert start(policy).judge(open_door(policy, amount=5)).granted
    denied = start(policy).judge(open_door(policy, amount=6))
    assert (denied.granted, denied.reason, results(denied)) == (False, Reason.RULES, "gdg")


def test_selectors_of_every_kind_select(load: Load, start: Start) -> None:
    policy = load(
        """
        request { grant () }
        request src=bank.Teller { grant () }
        request dst=bank.Vault { grant () }
        request interface=bank.IBolt { grant () }
        request component=bank.Lock { grant () }
        request dst=bank.Vault, endpoint=front.lock.bolt { grant () }
        request interface=bank.IBolt, method=Turn { grant () }
        request src=bank.Vault { deny () }
        request dst=bank.Teller { deny () }
        request interface=bank.IDoor { deny () }
        request component=bank.Front { deny () }
        request dst=bank.Vault, endpoint=back.bolt { deny () }
        response { deny () }
        execute { deny () }
        """
    )
    turn = Event(
        Kind.REQUEST, TELLER, VAULT, 7, 8, message(policy, 0, "Turn", Kind.REQUEST, angle=1)
    )
    decision = start(policy).judge(turn)
    assert decision.granted and [site for site, _ in decision.calls] == [0, 1, 2, 3, 4, 5, 6]


def test_responses_and_errors_are_about_the_source(load: Load, start: Start) -> None:
    policy = load(
        """
        response src=bank.Vault, dst=bank.Teller, endpoint=door, method=Open {
          assert (message.rc == 0) }
        error src=bank.Vault, endpoint=door, method=Open { assert (message.why != 0) }
        """
    )
    for kind, values, granted in [
        (Kind.RESPONSE, {"rc": 0}, True),
        (Kind.RESPONSE, {"rc": 1}, False),
        (Kind.ERROR, {"why": 3}, True),
        (Kind.ERROR, {"why": 0}, False),
    ]:
        data = message(policy, DOOR, "Open", kind, **values)
        assert start(policy).judge(Event(kind, VAULT, TELLER, 8, 7, data)).granted is granted
    reply = message(policy, DOOR, "Open", Kind.RESPONSE)
    turned = Event(Kind.RESPONSE, TELLER, VAULT, 7, 8, reply)
    assert start(policy).judge(turned).reason is Reason.MALFORMED


def test_security_interfaces_are_counted_apart_and_qualified(load: Load, start: Start) -> None:
    policy = load(
        """
        security src=bank.Vault, method=Clear { assert (message.h.handle == 1) }
        security src=bank.Vault, method=front.Clear { assert (message.h.rights == 2) }
        """
    )
    guard = policy.layout("bank.Vault").security[0].interface.methods[0].request
    handle = {"h": {"handle": 1, "rights": 2}}
    for riid, site in [(1, 0), (0, 1)]:
        data = encode(guard, handle, riid=riid)
        decision = start(policy).judge(Event(Kind.SECURITY, VAULT, None, 8, 0, data))
        assert decision == Decision(True, Reason.RULES, ((site, Result.GRANTED),))


def test_unknown_classes_are_denied_by_default(load: Load, start: Start) -> None:
    policy = load("request { grant () } execute { grant () }")
    unknown = open_door(policy)
    for src, dst in [(None, VAULT), (TELLER, None), (9, VAULT)]:
        event = Event(Kind.REQUEST, src, dst, 7, 8, unknown.message)
        assert start(policy).judge(event) == Decision(False, Reason.DEFAULT)
    assert not start(policy).judge(Event(Kind.EXECUTE, CORE, None, 1, 9)).granted


def test_order_of_calls(load: Load, start: Start, tmp_path: Path) -> None:
    (tmp_path / "first.psl").write_text("use second._\nrequest { assert (1 == 1) }\n")
    (tmp_path / "second.psl").write_text(
        "request { assert (2 == 2) }\nuse first._\nuse security._\n"
    )
    policy = load("use first._\nrequest { assert (0 == 0) }\nuse second._\nrequest { grant () }\n")
    decision = start(policy).judge(open_door(policy))
    texts = [policy.rules[site].text for site, _ in decision.calls]
    assert texts == ["assert (0 == 0)", "grant ()", "assert (1 == 1)", "assert (2 == 2)"]


# ---- errors and malformed messages -----------------------------------------


def test_evaluation_goes_on_after_a_denial_and_stops_at_an_error(load: Load, start: Start) -> None:
    body = "deny () assert (message.items.[0].id == 1) grant ()"
    policy = load(OPEN % body)
    assert results(start(policy).judge(open_door(policy, items=[{"id": 1}]))) == "dgg"
    failed = start(policy).judge(open_door(policy))
    assert (failed.granted, failed.reason, results(failed)) == (False, Reason.ERROR, "df")


@pytest.mark.parametrize(
    "expression",
    [
        "message.small + 200 == 1",
        "message.amount - 9 == 0",
        "message.wide * message.wide == 0",
        "message.items.[message.small].id == 0",
        "message.trio.[message.small] == 0",
        "message.raw.[message.small] == 0",
        "message.either.number == 0",
        "math.neg (message.delta) == 0",
        "math.abs (message.delta) == 0",
        "math.sum [message.small, message.small, message.small] == 0",
        "math.product [message.small, message.small] == 0",
        "[message.amount, 2].[message.small] == 0",
        "message.items.[message.delta].id == 0",
    ],
)
def test_evaluation_errors(load: Load, start: Start, expression: str) -> None:
    policy = load(OPEN % f"assert ({expression})")
    values = {
        "small": 100,
        "amount": 1,
        "delta": -(2**31),
        "wide": 2**63,
        "items": [{"id": 1}],
        "raw": b"ab",
        "either": {"text": "x"},
    }
    assert start(policy).judge(open_door(policy, **values)).reason is Reason.ERROR


def test_malformed_messages_call_nothing(load: Load, start: Start) -> None:
    policy = load("request { grant () }")
    good = open_door(policy, pin="12", items=[{"id": 1}], raw=b"abc").message

    def reason(data: bytes) -> Reason:
        decision = start(policy).judge(Event(Kind.REQUEST, TELLER, VAULT, 7, 8, data))
        assert decision.granted is (decision.reason is Reason.RULES)
        assert bool(decision.calls) is decision.granted
        return decision.reason

    assert reason(good) is Reason.RULES
    constant = policy.layout("bank.Vault").endpoints[DOOR].interface.methods[0].request.size
    bad = [
        b"",
        good[:7],
        good[: constant - 1],
        good + bytes(100),
        (5).to_bytes(4, "little") + good[4:],  # riid
        good[:4] + (3).to_bytes(2, "little") + good[6:],  # mid
        good[:6] + (1).to_bytes(2, "little") + good[8:],  # direction
        good[:8] + (99).to_bytes(4, "little") + good[12:],  # offset of pin
        good[:12] + (2).to_bytes(4, "little") + good[16:],  # pin without its zero
    ]
    assert [reason(data) for data in bad] == [Reason.MALFORMED] * len(bad)


# ---- expressions -----------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("message.amount == 7", True),
        ("message.delta < -4", True),
        ("message.small == message.amount", True),
        ("message.small + message.wide == 14", True),
        ("(message.amount & 5) == 5", True),
        ("(message.amount & ~1 | 8) == 14", True),
        ("(~message.small) == 248", True),
        ("(~message.delta) == 4", True),
        ("message.amount * 2 - 1 == 10 + 3", True),
        ("message.amount < 7 || message.amount > 7", False),
        ("message.amount == 7 ==> message.small == 8", False),
        ("false ==> false ==> false", True),
        ("false && message.items.[3].id == 1 || true", True),
        ("!(message.amount == 7)", False),
        ("message.items.[1].value == -2", True),
        ("message.items.[message.small - 7].id == 10", True),
        ("message.trio.[2] == 3", True),
        ("message.raw.[1] == 0xFF", True),
        ("message.either.number == 4", True),
        ("message.key.handle == src_sid && message.key.rights == 0xF", True),
        ("dst_sid == 8", True),
        ("() == () && !(() != ())", True),
        ("bool.cond { if : message.amount == 7, then : (), else : () } == ()", True),
        ("pred.empty (message.pin)", False),
        ("pred.empty (message.raw) || pred.empty () && pred.empty []", True),
        ("size (message.pin) == 2 && size (message.items) == 2", True),
        ("struct.size (message.raw) == 2 && size (message.trio) == 3", True),
        ("bool.all [] && bool.all [true, message.amount == 7]", True),
        ("bool.any [] || bool.any [message.amount == 8]", False),
        ("bool.cond { if : message.amount == 7, then : 1, else : 2 } == message.trio.[0]", True),
        ("math.sum [message.amount, 3] == 10 && math.product [] == 1", True),
        ("math.sum (message.trio) == 6", True),
        ("math.neg (message.delta) == 5 && math.abs (message.delta) == 5", True),
        ("math.sint64 (message.amount) > message.delta", True),
        ("math.uint64 (message.small) == message.wide", True),
        ("[message.amount, 9].[message.small - 6] == 9", True),
        (
            'size ("é") == 2 && size (["é"].[0]) == 2 && size ([["a"], ["", "é"]].[1].[1]) == 2',
            True,
        ),
        ('size (["é", message.pin].[0]) == 2 && size (["a", "é"].[message.small - 6]) == 2', True),
        ("{ a : message.amount, b : true }.b", True),
    ],
)
def test_values(load: Load, start: Start, expression: str, value: bool) -> None:
    policy = load(OPEN % f"assert ({expression})")
    event = open_door(
        policy,
        pin="12",
        amount=7,
        delta=-5,
        small=7,
        wide=7,
        items=[{"id": 10, "value": -1}, {"id": 11, "value": -2}],
        trio=[1, 2, 3],
        raw=b"\1\xff",
        either={"number": 4},
        key={"handle": 7, "rights": 15},
    )
    decision = start(policy).judge(event)
    assert decision.reason is Reason.RULES
    assert decision.granted is value


def test_sum_of_bytes_is_a_byte(load: Load, start: Start) -> None:
    policy = load(OPEN % "assert (math.sum (message.raw) == 255)")
    assert start(policy).judge(open_door(policy, raw=b"\x01\xfe")).granted
    assert start(policy).judge(open_door(policy, raw=b"\x02\xfe")).reason is Reason.ERROR


def test_rules_of_base(load: Load, start: Start) -> None:
    policy = load(
        OPEN % "grant () deny () deny (true) deny (false) assert (true) bool.assert (false)"
    )
    assert results(start(policy).judge(open_door(policy))) == "gddggd"


def test_an_expression_alone_is_no_rule(load: Load, start: Start) -> None:
    policy = load(OPEN % "math.sum [message.small, 200]")
    assert start(policy).judge(open_door(policy)) == Decision(False, Reason.DEFAULT)
    failed = start(policy).judge(open_door(policy, small=56))
    assert (failed.reason, results(failed)) == (Reason.ERROR, "f")


# ---- choice ----------------------------------------------------------------


def test_choice_on_values(load: Load, start: Start) -> None:
    policy = load(
        OPEN
        % """
        choice message.pin { "red" : grant () "é" : deny () "" : { grant () grant () } }
        choice (message.delta) { -1 : grant () 1 : { } _ : deny () }
        choice (message.amount == 1) { true : grant () false : deny () }
        """
    )
    red = start(policy).judge(open_door(policy, pin="red", delta=-1, amount=1))
    assert (red.granted, results(red)) == (True, "ggg")
    assert results(start(policy).judge(open_door(policy, delta=1, amount=1))) == "ggg"
    assert results(start(policy).judge(open_door(policy, pin="é", delta=2))) == "ddd"
    nothing = start(policy).judge(open_door(policy, pin="green", delta=1, amount=1))
    assert (nothing.granted, nothing.reason, results(nothing)) == (False, Reason.RULES, "dg")
    assert policy.rules[nothing.calls[0][0]].method == "choice"


def test_choice_on_a_state_and_match_within(load: Load, start: Start) -> None:
    policy = load(
        FLOW
        + OPEN
        % """choice life.query { sid : src_sid } {
               "busy" : match src=bank.Vault { deny () }
               "idle" : { life.enter { sid : src_sid, state : "busy" } } }"""
        + "execute { life.init { sid : dst_sid } }"
    )
    engine = start(policy)
    failed = engine.judge(open_door(policy))
    assert (failed.reason, results(failed)) == (Reason.ERROR, "f")
    assert engine.judge(Event(Kind.EXECUTE, CORE, TELLER, 1, 7)).granted
    assert engine.judge(open_door(policy)).granted
    assert engine.judge(open_door(policy)) == Decision(False, Reason.DEFAULT)
    assert engine.state() == {"life": {7: "busy"}}


# ---- Flow and transactions -------------------------------------------------


def test_a_trial_is_judged_but_changes_nothing(load: Load, start: Start) -> None:
    policy = load(FLOW + "execute { life.init { sid : dst_sid } }")
    engine = start(policy)
    birth = Event(Kind.EXECUTE, CORE, TELLER, 1, 7)
    for _ in range(2):
        assert engine.judge(replace(birth, trial=True)).granted
        assert engine.state() == {"life": {}}
    assert engine.judge(birth).granted
    assert not engine.judge(replace(birth, trial=True)).granted
    assert engine.state() == {"life": {7: "idle"}}


def restart(sid: int, released: int = 0) -> Event:
    return Event(Kind.EXECUTE, CORE, TELLER, 1, sid, released_sid=released)


def test_flow(load: Load, start: Start) -> None:
    policy = load(
        FLOW
        + OPEN
        % """match src=bank.Teller { choice message.pin {
          "init" : life.init { sid : message.amount }
          "fini" : life.fini { sid : message.amount }
          "busy" : life.enter { sid : message.amount, state : "busy" }
          "idle" : life.enter { sid : message.amount, state : "idle" }
          "done" : life.enter { sid : message.amount, state : "done" }
          "ok" : life.allow { sid : message.amount, states : ["busy", "done"] } } }"""
    )
    engine = start(policy, 2)

    def does(pin: str, sid: int = 5) -> bool:
        decision = engine.judge(open_door(policy, pin=pin, amount=sid))
        assert decision.reason is Reason.RULES
        return decision.granted

    assert not any(does(pin) for pin in ("fini", "busy", "idle", "ok"))
    assert not does("init", 0)
    assert does("init") and not does("init")
    assert not does("ok") and does("idle") and does("busy") and does("ok")
    assert not does("idle") and does("done") and not does("done")
    assert does("init", 6) and not does("init", 7)
    assert engine.state() == {"life": {5: "done", 6: "idle"}}
    assert does("fini") and not does("fini") and does("init", 7)
    engine.release(6)
    assert engine.state() == {"life": {7: "idle"}}


def test_changes_last_only_if_all_grant(load: Load, start: Start) -> None:
    policy = load(
        FLOW
        + OPEN
        % """life.init { sid : src_sid }
             life.enter { sid : src_sid, state : "busy" }
             assert (message.amount == 1)
             assert (message.items.[0].id == 0)"""
    )
    engine = start(policy)
    assert results(engine.judge(open_door(policy, items=[{}]))) == "ggdg"
    assert engine.state() == {"life": {}}
    assert results(engine.judge(open_door(policy, amount=1))) == "gggf"
    assert engine.state() == {"life": {}}
    assert engine.judge(open_door(policy, amount=1, items=[{}])).granted
    assert engine.state() == {"life": {7: "busy"}}


def test_a_thousand_restarts_in_a_pool_of_one(load: Load, start: Start) -> None:
    policy = load(FLOW + "execute dst=bank.Teller { life.init { sid : dst_sid } }")
    engine = start(policy, 1)
    assert engine.judge(restart(1)).granted and not engine.judge(restart(2)).granted
    for sid in range(2, 1002):
        assert engine.judge(restart(sid, released=sid - 1)).granted
    assert engine.state() == {"life": {1001: "idle"}}


def test_a_denied_restart_releases_nothing_by_itself(load: Load, start: Start) -> None:
    policy = load(
        FLOW + "execute dst=bank.Teller { life.init { sid : dst_sid } deny (dst_sid == 2) }"
    )
    engine = start(policy)
    assert engine.judge(restart(1)).granted
    assert not engine.judge(restart(2, released=1)).granted
    assert engine.state() == {"life": {1: "idle"}}


def test_audit_level(load: Load, start: Start) -> None:
    policy = load(
        "audit profile p = { 0 : { base : { kss : [] } } }\naudit default = p 3\n"
        "policy object other : Base { }\n"
        + OPEN
        % "other.set_level (message.small) deny (message.amount == 1)"
    )
    engine = start(policy)
    assert engine.audit_level == 3
    assert not engine.judge(open_door(policy, small=4, amount=1)).granted
    assert engine.audit_level == 3
    assert engine.judge(open_door(policy, small=4)).granted
    assert engine.audit_level == 4
