"""What the VM decides, case by case."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss import layout
from kss.compiler import class_hash, compile_policy
from kss.events import Decision, Event, Kind, Reason, Result
from kss.layout import Endpoint, EntityClass
from kss.message import encode
from kss.tree import ElementStep, Expression, FieldStep, ListValue, Logical, MemberStep
from kss.types import SINT8, SINT32, SINT64, UINT8, UINT64, UNIT, IntegerType, ListType
from kss.vm import LibraryMissingError, PolicyRefusedError, Vm

from tests.vm.build import (
    DST,
    HANDLE,
    SRC,
    U8,
    U16,
    U32,
    Builder,
    apply,
    classes,
    interface,
    method,
    place,
    text,
    truth,
    unsigned,
)

STRUCT = layout.make_struct("S", [("x", U8), ("y", U32)])
UNION = layout.make_union("U", [("n", U32), ("s", layout.String(4))])
OPEN = method(
    "Open",
    0,
    [
        ("pin", layout.String(8)),
        ("n", U16),
        ("list", layout.Sequence(STRUCT, 4)),
        ("pair", layout.Array(U16, 2)),
        ("either", UNION),
        ("key", HANDLE),
        ("raw", layout.Bytes(5)),
    ],
    [("rc", U32)],
    [("code", U8)],
)
PING = method("Ping", 1, [])
DOOR = interface("bank.Door", OPEN, PING)
KERNEL, TELLER, VAULT = range(3)
OPENED = {"dst": VAULT, "endpoint": "door", "method": "Open"}
GRANTED, DENIED, FAILED = Result.GRANTED, Result.DENIED, Result.FAILED


def entities() -> tuple[EntityClass, ...]:
    offered = [Endpoint("door", 0, DOOR, None), Endpoint("part.door", 1, DOOR, "bank.Part")]
    guarded = [Endpoint("part", 0, DOOR, "bank.Part"), Endpoint("", 1, DOOR, None)]
    return classes(
        ("kl.core.Core", [], []), ("bank.Teller", [], []), ("bank.Vault", offered, guarded)
    )


@pytest.fixture
def policy() -> Builder:
    return Builder(entities())


@pytest.fixture
def load(library: Path):  # type: ignore[no-untyped-def]
    def load(policy: Builder, max_sids: int = 4) -> Vm:
        return Vm(compile_policy(policy.tree(), max_sids=max_sids), library)

    return load


def open_event(riid: int = 0, sids: tuple[int, int] = (7, 8), **values: object) -> Event:
    message = encode(OPEN.request, values, riid=riid)
    return Event(Kind.REQUEST, TELLER, VAULT, *sids, message)


def contexts(vm: Vm) -> dict[str, dict[int, str]]:
    """The state without the objects that hold nothing."""
    return {name: of for name, of in vm.state().items() if of}


def start(src: int = KERNEL, dst: int = VAULT, sid: int = 8, released: int = 0) -> Event:
    return Event(Kind.EXECUTE, src, dst, 1, sid, b"", released)


# ---- the decision table --------------------------------------------------------


def test_no_rule_denies(policy: Builder, load) -> None:
    vm = load(policy)
    nothing = Decision(False, Reason.DEFAULT)
    assert vm.judge(start()) == nothing
    assert vm.judge(open_event()) == nothing


def test_all_rules_must_grant_and_all_are_called(policy: Builder, load) -> None:
    policy.bind(Kind.EXECUTE, policy.grant(), policy.rule("deny"))
    policy.bind(Kind.EXECUTE, policy.grant(), dst=VAULT)
    policy.bind(Kind.EXECUTE, policy.rule("deny", truth(False)), dst=TELLER)
    vm = load(policy)
    assert vm.judge(start()).calls == ((0, GRANTED), (1, DENIED), (2, GRANTED))
    assert vm.judge(start(dst=TELLER)).calls == ((0, GRANTED), (1, DENIED), (3, GRANTED))
    assert not vm.judge(start()).granted


def test_selectors(policy: Builder, load) -> None:
    policy.bind(Kind.REQUEST, policy.grant(), src=TELLER, dst=VAULT, endpoint="part.door")
    policy.bind(Kind.REQUEST, policy.grant(), component="bank.Part", method="Open")
    policy.bind(Kind.REQUEST, policy.grant(), interface="bank.Door", method="Ping", src=KERNEL)
    policy.bind(Kind.RESPONSE, policy.grant(), src=VAULT, dst=TELLER, endpoint="door")
    vm = load(policy)
    assert vm.judge(open_event(0)).reason is Reason.DEFAULT
    assert vm.judge(open_event(1)).calls == ((0, GRANTED), (1, GRANTED))
    ping = encode(PING.request, {}, mid=1)
    assert vm.judge(Event(Kind.REQUEST, KERNEL, VAULT, 1, 2, ping)).calls == ((2, GRANTED),)
    assert not vm.judge(Event(Kind.REQUEST, TELLER, VAULT, 1, 2, ping)).granted
    answer = encode(OPEN.response, {"rc": 1})
    assert vm.judge(Event(Kind.RESPONSE, VAULT, TELLER, 8, 7, answer)).granted
    assert not vm.judge(Event(Kind.RESPONSE, VAULT, KERNEL, 8, 7, answer)).granted


def test_security_events_have_their_own_endpoints(policy: Builder, load) -> None:
    seen = apply("pred.eq", place(OPEN.request, "n"), unsigned(3))
    policy.bind(Kind.SECURITY, policy.rule("assert", seen), src=VAULT, method="part.Open")
    policy.bind(Kind.SECURITY, policy.grant(), src=VAULT, method="Ping")
    vm = load(policy)

    def ask(riid: int, mid: int, n: int = 0) -> Decision:
        chosen = (OPEN, PING)[mid]
        message = encode(chosen.request, {"n": n} if mid == 0 else {}, riid=riid, mid=mid)
        return vm.judge(Event(Kind.SECURITY, VAULT, None, 8, 0, message))

    assert ask(0, 0, 3).granted and not ask(0, 0, 4).granted
    assert ask(1, 1).granted
    assert ask(1, 0).reason is Reason.DEFAULT and ask(0, 1).reason is Reason.DEFAULT
    assert ask(2, 0).reason is Reason.MALFORMED


def test_matches_narrow_by_peer_inside_choices_too(policy: Builder, load) -> None:
    inner = policy.match(policy.grant(), src=KERNEL)
    choice = policy.choice(truth(True), {True: [inner]}, None)
    policy.bind(Kind.EXECUTE, policy.match(policy.match(choice, dst=VAULT), src=KERNEL))
    vm = load(policy)
    assert vm.judge(start()).calls == ((0, GRANTED),)
    assert vm.judge(start(src=TELLER)).reason is Reason.DEFAULT


def test_unknown_classes_are_denied_by_default(policy: Builder, load) -> None:
    policy.bind(Kind.EXECUTE, policy.grant())
    policy.bind(Kind.REQUEST, policy.grant())
    vm = load(policy)
    for src, dst in ((None, VAULT), (KERNEL, None), (None, None), (3, 0), (0, 3)):
        assert vm.judge(Event(Kind.EXECUTE, src, dst, 1, 2)).reason is Reason.DEFAULT
    bad = Event(Kind.REQUEST, None, VAULT, 1, 2, b"")
    assert vm.judge(bad).reason is Reason.DEFAULT


def test_classes_are_found_by_the_hash_of_their_name(policy: Builder, load) -> None:
    vm = load(policy)
    assert [vm.find_class(class_hash(c.name)) for c in entities()] == [0, 1, 2]
    assert vm.find_class(class_hash("bank.Nobody")) is None


# ---- messages ------------------------------------------------------------------

SPAN_OF_PIN, SPAN_OF_LIST, TAG = 8, 20, 32


def patched(message: bytes, at: int, *numbers: int) -> bytes:
    data = b"".join(number.to_bytes(4, "little") for number in numbers)
    return message[:at] + data + message[at + len(data) :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: b"",
        lambda m: m[:7],
        lambda m: m[: OPEN.request.size - 1],
        lambda m: m + bytes(OPEN.request.arena),
        lambda m: patched(m, 0, 2),  # endpoint
        lambda m: m[:4] + b"\2\0" + m[6:],  # method
        lambda m: m[:6] + b"\1\0" + m[8:],  # direction
        lambda m: patched(m, SPAN_OF_PIN, 99, 0),
        lambda m: patched(m, SPAN_OF_PIN, 0xFFFFFFFF, 2),
        lambda m: patched(m, SPAN_OF_PIN, 1, 0xFFFFFFFF),
        lambda m: patched(m, SPAN_OF_LIST, 0, 15),
        lambda m: patched(m, SPAN_OF_LIST, 0, 8)[: OPEN.request.size] + bytes(7),
        lambda m: patched(m, SPAN_OF_LIST, 2, 8),  # alignment
        lambda m: patched(m, TAG, 2),
        lambda m: m.replace(b"abc\0", b"a\0c\0"),
        lambda m: m.replace(b"abc\0", b"abcd"),
    ],
)
def test_malformed_messages_are_denied_before_any_rule(policy: Builder, load, spoil) -> None:
    policy.bind(Kind.REQUEST, policy.grant())
    vm = load(policy)
    good = open_event(pin="abc", list=[{"x": 1, "y": 2}])
    assert OPEN.request.fields[2].offset == SPAN_OF_LIST and OPEN.request.fields[4].offset == TAG
    assert vm.judge(good).granted and vm.conforms(VAULT, Kind.REQUEST, good.message)
    bad = spoil(good.message)
    verdict = vm.judge(Event(Kind.REQUEST, TELLER, VAULT, 7, 8, bad))
    assert verdict == Decision(False, Reason.MALFORMED)
    assert not vm.conforms(VAULT, Kind.REQUEST, bad)


def test_a_message_of_zeros_conforms(policy: Builder, load) -> None:
    vm = load(policy)
    assert vm.conforms(VAULT, Kind.REQUEST, bytes(OPEN.request.size))
    assert not vm.conforms(TELLER, Kind.REQUEST, bytes(OPEN.request.size))


# ---- expressions ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        (apply("pred.lt", unsigned(255, UINT8), unsigned(0, UINT8)), DENIED),
        (apply("pred.lt", unsigned(-1, SINT8), unsigned(0, SINT8)), GRANTED),
        (apply("pred.ge", unsigned(-1, SINT64), unsigned(-1, SINT64)), GRANTED),
        (apply("pred.gt", unsigned(2**64 - 1, UINT64), unsigned(1, UINT64)), GRANTED),
        (apply("pred.eq", unsigned(0), unsigned(0)), GRANTED),
        (apply("bool.not", truth(True)), DENIED),
        (apply("pred.empty", text("")), GRANTED),
        (Logical("implies", truth(False), truth(False), UNIT), GRANTED),
        (Logical("implies", truth(True), truth(False), UNIT), DENIED),
    ],
)
def test_operations(policy: Builder, load, expression: Expression, result: Result) -> None:
    policy.bind(Kind.EXECUTE, policy.rule("assert", expression))
    assert load(policy).judge(start()).calls == ((0, result),)


@pytest.mark.parametrize(
    ("operation", "kind", "left", "right", "expected"),
    [
        ("add", UINT8, 255, 1, None),
        ("add", UINT8, 254, 1, 255),
        ("add", UINT64, 2**64 - 1, 1, None),
        ("add", SINT64, 2**63 - 1, 1, None),
        ("add", SINT64, -(2**63), -1, None),
        ("add", SINT8, -128, 127, -1),
        ("sub", UINT8, 0, 1, None),
        ("sub", SINT8, -128, 1, None),
        ("sub", SINT64, -(2**63), 1, None),
        ("sub", SINT64, 0, -(2**63), None),
        ("mul", UINT64, 2**32, 2**32, None),
        ("mul", UINT64, 2**32, 2**32 - 1, 2**64 - 2**32),
        ("mul", UINT64, 2**33 - 1, 2**31 + 7, None),
        ("mul", UINT64, 2**33 - 1, 2**30 + 7, (2**33 - 1) * (2**30 + 7)),
        ("mul", SINT64, -(2**63), 1, -(2**63)),
        ("mul", SINT64, -(2**63), -1, None),
        ("mul", SINT64, 2**62, -2, -(2**63)),
        ("mul", SINT64, 2**62, 2, None),
        ("mul", SINT32, -(2**31), -1, None),
        ("and", SINT8, -1, 5, 5),
        ("or", SINT8, -128, 1, -127),
    ],
)
def test_arithmetic_is_exact_or_an_error(
    policy: Builder,
    load,
    operation: str,
    kind: IntegerType,
    left: int,
    right: int,
    expected: int | None,
) -> None:
    value = apply(f"math.{operation}", unsigned(left, kind), unsigned(right, kind), type=kind)
    is_it = apply("pred.eq", value, unsigned(expected or 0, kind))
    policy.bind(Kind.EXECUTE, policy.rule("assert", is_it))
    assert load(policy).judge(start()).calls == ((0, FAILED if expected is None else GRANTED),)


@pytest.mark.parametrize(
    ("operation", "kind", "value", "expected"),
    [
        ("neg", SINT8, -128, None),
        ("neg", SINT8, 127, -127),
        ("abs", SINT64, -(2**63), None),
        ("abs", SINT8, -5, 5),
        ("not", UINT8, 0xF0, 0x0F),
        ("not", UINT64, 0, 2**64 - 1),
        ("not", SINT8, 5, -6),
    ],
)
def test_operations_on_one_number(
    policy: Builder, load, operation: str, kind: IntegerType, value: int, expected: int | None
) -> None:
    found = apply(f"math.{operation}", unsigned(value, kind), type=kind)
    policy.bind(
        Kind.EXECUTE, policy.rule("assert", apply("pred.eq", found, unsigned(expected or 0, kind)))
    )
    assert load(policy).judge(start()).calls == ((0, FAILED if expected is None else GRANTED),)


def test_sids(policy: Builder, load) -> None:
    policy.bind(Kind.REQUEST, policy.rule("assert", apply("pred.eq", SRC, unsigned(7))))
    policy.bind(Kind.REQUEST, policy.rule("assert", apply("pred.eq", DST, unsigned(8))))
    assert load(policy).judge(open_event()).granted


def read_of(name: str) -> Expression:
    """One value of each kind of place."""
    zero, number = unsigned(0), place(OPEN.request, "n")
    y = FieldStep("y", 4, U32)
    return {
        "field": number,
        "element": place(OPEN.request, "list", ElementStep(number, None, STRUCT), y),
        "array": place(OPEN.request, "pair", ElementStep(number, 2, U16)),
        "constant": place(OPEN.request, "pair", ElementStep(unsigned(1), 2, U16)),
        "member": place(OPEN.request, "either", MemberStep("n", 0, 4, U32)),
        "byte": place(OPEN.request, "raw", ElementStep(number, None, U8)),
        "outside": place(OPEN.request, "pair", ElementStep(unsigned(2), 2, U16)),
        "negative": place(OPEN.request, "list", ElementStep(unsigned(-1, SINT32), None, STRUCT), y),
        "pick": apply("struct.element", ListValue((zero, number), ListType(U16)), number),
    }[name]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("field", {"n": 9}, 9),
        ("element", {"n": 1, "list": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}, 4),
        ("element", {"n": 2, "list": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}, None),
        ("element", {}, None),
        ("array", {"n": 1, "pair": [5, 6]}, 6),
        ("array", {"n": 2, "pair": [5, 6]}, None),
        ("array", {"n": 65535, "pair": [5, 6]}, None),
        ("constant", {"pair": [5, 6]}, 6),
        ("member", {"either": {"n": 11}}, 11),
        ("member", {"either": {"s": "b"}}, None),
        ("byte", {"n": 2, "raw": b"\1\2\3"}, 3),
        ("byte", {"n": 3, "raw": b"\1\2\3"}, None),
        ("outside", {}, None),
        ("negative", {"list": [{}]}, None),
        ("pick", {"n": 1}, 1),
        ("pick", {"n": 2}, None),
    ],
)
def test_reading_the_message(
    policy: Builder, load, name: str, values: dict[str, object], expected: int | None
) -> None:
    is_it = apply("pred.eq", read_of(name), unsigned(expected or 0))
    policy.bind(Kind.REQUEST, policy.rule("assert", is_it), policy.grant(), **OPENED)
    verdict = load(policy).judge(open_event(**values))
    if expected is None:
        assert verdict == Decision(False, Reason.ERROR, ((0, FAILED),))
    else:
        assert verdict == Decision(True, Reason.RULES, ((0, GRANTED), (1, GRANTED)))


@pytest.mark.parametrize(
    ("name", "values", "size"),
    [
        ("pin", {"pin": "abc"}, 3),
        ("pin", {}, 0),
        ("raw", {"raw": b"12345"}, 5),
        ("list", {"list": [{}, {}, {}]}, 3),
        ("pair", {}, 2),
    ],
)
def test_sizes(policy: Builder, load, name: str, values: dict[str, object], size: int) -> None:
    found = apply("struct.size", place(OPEN.request, name))
    policy.bind(
        Kind.REQUEST, policy.rule("assert", apply("pred.eq", found, unsigned(size))), **OPENED
    )
    empty = apply("pred.empty", place(OPEN.request, name))
    policy.bind(
        Kind.REQUEST, policy.rule("assert", apply("pred.eq", empty, truth(size == 0))), **OPENED
    )
    assert load(policy).judge(open_event(**values)).granted


@pytest.mark.parametrize(("raw", "total"), [(b"", 0), (b"\1\2\3", 6), (b"\xff\1", None)])
def test_sums_over_a_message(policy: Builder, load, raw: bytes, total: int | None) -> None:
    found = apply("math.sum", place(OPEN.request, "raw"), type=UINT8)
    is_it = apply("pred.eq", found, unsigned(total or 0, UINT8))
    policy.bind(Kind.REQUEST, policy.rule("assert", is_it), **OPENED)
    verdict = load(policy).judge(open_event(raw=raw))
    assert verdict.calls == ((0, FAILED if total is None else GRANTED),)


# ---- choices -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pin", "calls"),
    [
        ("abc", ((0, GRANTED),)),
        ("ab", ((2, DENIED),)),
        ("abcd", ((2, DENIED),)),
        ("é", ((1, DENIED),)),
    ],
)
def test_choice_on_text(policy: Builder, load, pin: str, calls: object) -> None:
    branches = {"abc": [policy.grant()], "é": [policy.rule("deny")]}
    policy.bind(Kind.REQUEST, policy.choice(place(OPEN.request, "pin"), branches, None), **OPENED)
    assert load(policy).judge(open_event(pin=pin)).calls == calls


def test_choice_takes_the_first_label_or_the_default(policy: Builder, load) -> None:
    number = place(OPEN.request, "n")
    branches = {1: [policy.grant()], 2: [policy.rule("deny")]}
    policy.bind(
        Kind.REQUEST, policy.choice(number, branches, [policy.grant(), policy.grant()]), **OPENED
    )
    policy.bind(Kind.REQUEST, policy.choice(number, {1: []}, []), **OPENED)
    vm = load(policy)
    assert vm.judge(open_event(n=1)).calls == ((0, GRANTED),)
    assert vm.judge(open_event(n=2)).calls == ((1, DENIED),)
    assert vm.judge(open_event(n=3)).calls == ((2, GRANTED), (3, GRANTED))


def test_an_error_stops_everything_and_is_charged_to_its_site(policy: Builder, load) -> None:
    door = policy.flow("door", ["shut", "open"], "shut", shut=["open"])
    policy.bind(Kind.REQUEST, policy.grant())
    policy.bind(
        Kind.REQUEST, policy.choice(policy.query(door, DST), {"shut": [policy.grant()]}, [])
    )
    policy.bind(Kind.REQUEST, policy.grant())
    verdict = load(policy).judge(open_event())
    assert verdict == Decision(False, Reason.ERROR, ((0, GRANTED), (2, FAILED)))


def test_an_expression_statement_is_no_rule(policy: Builder, load) -> None:
    door = policy.flow("door", ["shut", "open"], "shut", shut=["open"])
    policy.bind(Kind.EXECUTE, policy.flow_rule(door, "init", DST), dst=VAULT)
    policy.bind(Kind.REQUEST, policy.evaluate(policy.query(door, DST)))
    vm = load(policy)
    assert vm.judge(open_event()) == Decision(False, Reason.ERROR, ((1, FAILED),))
    vm.judge(start())
    assert vm.judge(open_event()) == Decision(False, Reason.DEFAULT)


# ---- state ---------------------------------------------------------------------


def door_policy(policy: Builder) -> int:
    door = policy.flow(
        "door", ["shut", "open", "locked"], "shut", shut=["open", "locked"], open=["shut"]
    )
    policy.bind(Kind.EXECUTE, policy.flow_rule(door, "init", DST))
    n = place(OPEN.request, "n")
    policy.bind(
        Kind.REQUEST,
        policy.choice(
            n,
            {
                0: [policy.flow_rule(door, "enter", DST, "open")],
                1: [policy.flow_rule(door, "enter", DST, "shut")],
                2: [policy.flow_rule(door, "allow", DST, "open", "locked")],
                3: [policy.flow_rule(door, "fini", DST)],
                4: [policy.flow_rule(door, "enter", DST, "locked"), policy.rule("deny")],
                5: [
                    policy.flow_rule(door, "enter", DST, "open"),
                    policy.rule("assert", read_of("element")),
                ],
            },
        ),
        **OPENED,
    )
    return door


def test_flow(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy)

    def ask(n: int) -> bool:
        return vm.judge(open_event(n=n)).granted

    assert not ask(0) and vm.judge(start()).granted and contexts(vm) == {"door": {8: "shut"}}
    assert not vm.judge(start()).granted, "it has a machine already"
    assert not ask(1), "no self-loop is listed"
    assert not ask(2) and ask(0) and ask(2) and contexts(vm) == {"door": {8: "open"}}
    assert not ask(0) and ask(1) and not ask(2)
    assert ask(3) and contexts(vm) == {} and not ask(3)


def test_a_denied_event_changes_nothing(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy)
    vm.judge(start())
    before = vm._words().tobytes()
    assert vm.judge(open_event(n=4)).calls[0][1] is GRANTED
    assert vm._words().tobytes() == before
    assert vm.judge(open_event(n=5)).reason is Reason.ERROR
    assert vm._words().tobytes() == before


def test_sid_zero_has_no_context(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy)
    assert not vm.judge(start(sid=0)).granted
    assert contexts(vm) == {}


def test_a_full_table_denies_and_a_released_entry_serves_again(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy, 2)
    assert [vm.judge(start(sid=sid)).granted for sid in (1, 3, 5)] == [True, True, False]
    vm.release(3)
    vm.release(99)
    assert vm.judge(start(sid=5)).granted
    assert contexts(vm) == {"door": {1: "shut", 5: "shut"}}


def test_a_thousand_restarts_with_one_context(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy, 1)
    assert vm.judge(start(sid=10)).granted
    for sid in range(11, 1011):
        assert vm.judge(start(sid=sid, released=sid - 1)).granted
        assert vm.judge(open_event(n=0, sids=(7, sid))).granted
    assert contexts(vm) == {"door": {1010: "open"}}


def test_a_denied_start_keeps_the_dead_contexts(policy: Builder, load) -> None:
    door_policy(policy)
    policy.bind(Kind.EXECUTE, policy.rule("deny"), src=TELLER)
    vm = load(policy, 1)
    vm.judge(start(sid=4))
    assert not vm.judge(start(src=TELLER, sid=5, released=4)).granted
    assert contexts(vm) == {"door": {4: "shut"}}


def test_a_constant_grant_releases_too(policy: Builder, load) -> None:
    door = policy.flow("door", ["shut"], "shut")
    policy.bind(Kind.EXECUTE, policy.flow_rule(door, "init", DST), dst=VAULT)
    policy.bind(Kind.EXECUTE, policy.grant(), dst=TELLER)
    vm = load(policy)
    vm.judge(start(sid=4))
    assert vm.judge(start(dst=TELLER, sid=5, released=4)).granted
    assert contexts(vm) == {}


def test_many_states_and_many_sids(policy: Builder, load) -> None:
    states = [f"s{i}" for i in range(70)]
    ring = {state: [states[(i + 1) % 70]] for i, state in enumerate(states)}
    thing = policy.flow("ring", states, "s69", **ring)
    policy.bind(Kind.EXECUTE, policy.flow_rule(thing, "init", DST))
    branches = {s: [policy.flow_rule(thing, "enter", DST, ring[s][0])] for s in states}
    policy.bind(Kind.REQUEST, policy.choice(policy.query(thing, DST), branches))
    policy.bind(Kind.REQUEST, policy.flow_rule(thing, "allow", DST, "s0", "s33", "s34", "s64"))
    vm = load(policy, 100)
    sids = [2**32 - 1 - 64 * i for i in range(100)]
    assert all(vm.judge(start(sid=sid)).granted for sid in sids)
    assert not vm.judge(start(sid=1)).granted
    assert vm.judge(open_event(sids=(7, sids[50]))).granted
    assert not vm.judge(open_event(sids=(7, sids[50]))).granted, "s1 is not allowed"
    assert contexts(vm)["ring"][sids[50]] == "s0"


def test_the_audit_level_belongs_to_no_sid(policy: Builder, load) -> None:
    policy.audit_level = 2
    level = apply("math.add", unsigned(250, UINT8), unsigned(5, UINT8), type=UINT8)
    policy.bind(Kind.EXECUTE, policy.rule("set_level", level))
    policy.bind(Kind.EXECUTE, policy.rule("deny"), dst=TELLER)
    vm = load(policy)
    assert vm.audit_level == 2
    assert not vm.judge(start(dst=TELLER)).granted and vm.audit_level == 2
    assert vm.judge(start()).granted and vm.audit_level == 255
    vm.release(0)
    vm.judge(start(dst=TELLER, released=8))
    assert vm.audit_level == 255 and vm.state() == {}
    new = load(policy)
    assert new.migrate(vm) == 1 and new.audit_level == 255


def test_snapshots(policy: Builder, load) -> None:
    door_policy(policy)
    vm = load(policy)
    vm.judge(start())
    saved = vm.snapshot()
    vm.judge(open_event(n=0))
    after = vm.snapshot()
    vm.restore(saved)
    assert contexts(vm) == {"door": {8: "shut"}}
    vm.judge(open_event(n=0))
    assert vm.snapshot() == after
    with pytest.raises(ValueError, match="bytes"):
        vm.restore(saved[:-1])


# ---- another policy --------------------------------------------------------------


def test_migration_keeps_objects_that_agree(policy: Builder, load) -> None:
    door_policy(policy)
    lamp = policy.flow("lamp", ["off", "on"], "off")
    policy.bind(Kind.EXECUTE, policy.flow_rule(lamp, "init", DST))
    old = load(policy)
    old.judge(start(sid=5))
    old.judge(open_event(n=0, sids=(7, 5)))
    other = Builder(entities())
    other.flow("lamp", ["off", "on"], "on")  # another configuration
    other.flow("new", ["a"], "a")
    door = other.flow(
        "door", ["shut", "open", "locked"], "shut", shut=["open", "locked"], open=["shut"]
    )
    other.bind(Kind.REQUEST, other.flow_rule(door, "allow", DST, "open"))
    new = load(other, 9)
    assert new.migrate(old) == 1
    assert contexts(new) == {"door": {5: "open"}}
    assert new.judge(open_event(sids=(7, 5))).granted


def test_contexts_that_do_not_fit_are_reset(policy: Builder, load) -> None:
    door_policy(policy)
    old = load(policy, 3)
    for sid in (4, 5, 6):
        old.judge(start(sid=sid))
    small = load(policy, 2)
    assert small.migrate(old) == 0 and contexts(small) == {}
    assert small.judge(start(sid=4)).granted and small.judge(start(sid=5)).granted
    assert not small.judge(start(sid=6)).granted


# ---- the binding -----------------------------------------------------------------


def test_a_bad_binary_and_a_missing_library_are_errors_in_words(
    policy: Builder, library: Path, tmp_path: Path
) -> None:
    data = compile_policy(policy.tree())
    with pytest.raises(PolicyRefusedError, match="bad size at offset 0x8") as caught:
        Vm(data + bytes(8), library)
    assert (caught.value.status, caught.value.where) == (3, 8)
    with pytest.raises(LibraryMissingError, match="KSS_LIBRARY"):
        Vm(data, tmp_path / "none.so")


def test_the_library_is_found_by_the_environment(
    policy: Builder, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSS_LIBRARY", str(library))
    assert Vm(compile_policy(policy.tree())).judge(start()).reason is Reason.DEFAULT


@pytest.mark.parametrize("count", [0, -1, 2**20 + 1])
def test_max_sids_has_a_range(policy: Builder, count: int) -> None:
    with pytest.raises(ValueError, match="max_sids"):
        compile_policy(policy.tree(), max_sids=count)
