"""HashSet, StaticMap and Mic, case by case, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from kss import binary
from kss.api import Policy
from kss.compiler import compile_policy
from kss.errors import DescriptionError, KssError
from kss.events import Event, Kind, Reason
from kss.message import encode
from kss.reference import Reference
from kss.vm import Vm

from tests.kss.conftest import Load, Start

PRELUDE = """\
use nk.base._
use nk.hashmap._
use nk.staticmap._
use nk.mic._
use EDL kl.core.Core
use EDL Einit
use EDL bank.Teller
use EDL bank.Vault
"""
EINIT, TELLER, VAULT = 1, 2, 3
DOOR = 3
SID = "sid : message.key.handle"

Do = Callable[..., str]


def binding(**calls: str) -> str:
    """A request whose `small` picks one of the calls by its place."""
    branches = "\n".join(f"{number} : {{ {call} }}" for number, call in enumerate(calls.values()))
    head = "request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open"
    return f"{head} {{ choice (message.small) {{\n{branches}\n}} }}\n"


class Asker:
    """Asks an engine for the calls of `binding` by name: "granted", "denied" or "error"."""

    def __init__(self, policy: Policy, engine: Reference | Vm, **calls: str) -> None:
        method = policy.layout("bank.Vault").endpoints[DOOR].interface.method("Open")
        assert method is not None
        self.kinds = method.request
        self.engine = engine
        self.numbers = {name: number for number, name in enumerate(calls)}

    def event(self, name: str, sid: int = 7, **values: object) -> Event:
        given = {"small": self.numbers[name], "key": {"handle": sid, "rights": 0}, **values}
        return Event(Kind.REQUEST, TELLER, VAULT, 5, 6, encode(self.kinds, given, riid=DOOR))

    def __call__(self, name: str, sid: int = 7, **values: object) -> str:
        decision = self.engine.judge(self.event(name, sid, **values))
        if decision.reason is Reason.ERROR:
            return "error"
        assert decision.reason is Reason.RULES, decision
        return "granted" if decision.granted else "denied"

    def all(self, *asked: tuple[object, ...]) -> list[str]:
        return [self(*one) for one in asked]  # type: ignore[arg-type]


@pytest.fixture
def ask(load: Load, start: Start) -> Callable[..., Asker]:
    def ask(objects: str, max_sids: int = 64, **calls: str) -> Asker:
        policy = load(objects + binding(**calls), PRELUDE)
        return Asker(policy, start(policy, max_sids=max_sids), **calls)

    return ask


# ---- HashSet -----------------------------------------------------------------

SET = """policy object s : HashSet { type Entry = %s  config = { set_size : 2, pool_size : 2 } }
"""
SET_CALLS = {
    "init": f"s.init {{ {SID} }}",
    "fini": f"s.fini {{ {SID} }}",
    "add": f"s.add {{ {SID}, entry : message.amount }}",
    "remove": f"s.remove {{ {SID}, entry : message.amount }}",
    "has": f"assert (s.contains {{ {SID}, entry : message.amount }})",
}


def test_a_set_is_owned_from_init_to_fini(ask: Callable[..., Asker]) -> None:
    do = ask(SET % "UInt32", **SET_CALLS)
    assert [do(name) for name in ("add", "remove", "fini", "has")] == ["denied"] * 3 + ["error"]
    assert [do("init"), do("init"), do("init", 8), do("init", 9)] == [
        "granted",
        "denied",
        "granted",
        "denied",
    ], "it has one already; the pool is exhausted"
    assert [do("fini"), do("fini"), do("init", 9), do("fini", 9)] == [
        "granted",
        "denied",
        "granted",
        "granted",
    ]
    assert do.engine.state() == {"s": {8: []}}


def test_sid_0_is_no_resource(ask: Callable[..., Asker]) -> None:
    do = ask(SET % "UInt32", **SET_CALLS)
    assert [do(name, 0) for name in SET_CALLS] == ["denied"] * 4 + ["error"]
    assert [do("init", 0xFFFFFFFF), do("add", 0xFFFFFFFF)] == ["granted"] * 2


def test_a_set_holds_so_many_entries(ask: Callable[..., Asker]) -> None:
    do = ask(SET % "UInt32", **SET_CALLS)
    assert do("init") == "granted"
    added = [do("add", amount=n) for n in (1, 2, 1, 3, 2)]
    assert added == ["granted", "granted", "granted", "denied", "granted"]
    assert [do("has", amount=n) for n in (1, 2, 3)] == ["granted", "granted", "denied"]
    assert [do("remove", amount=n) for n in (3, 1, 1)] == ["granted"] * 3
    assert [do("add", amount=3), do("has", amount=3), do("has", amount=1)] == [
        "granted",
        "granted",
        "denied",
    ]
    assert do.engine.state() == {"s": {7: [2, 3]}}


def test_a_table_taken_again_is_empty(ask: Callable[..., Asker]) -> None:
    do = ask(SET % "UInt32", **SET_CALLS)
    for name in ("init", "add", "fini", "init"):
        assert do(name, amount=5) == "granted"
    assert do("has", amount=5) == "denied" and do.engine.state() == {"s": {7: []}}


def test_sets_are_apart(ask: Callable[..., Asker]) -> None:
    do = ask(SET % "UInt32", **SET_CALLS)
    assert do.all(("init", 7), ("init", 8), ("add", 7), ("has", 8)) == ["granted"] * 3 + ["denied"]


def test_several_calls_of_one_event_see_each_other(ask: Callable[..., Asker]) -> None:
    add = "s.add { %s, entry : %d }"
    several = " ".join([SET_CALLS["init"], add % (SID, 1), add % (SID, 2)])
    inside = f"assert (s.contains {{ {SID}, entry : 2 }})"
    do = ask(SET % "UInt32", good=f"{several} {inside}", bad=f"{several} {add % (SID, 3)}")
    assert do("bad") == "denied" and do.engine.state() == {"s": {}}, "all or nothing"
    assert do("good") == "granted" and do.engine.state() == {"s": {7: [1, 2]}}


@pytest.mark.parametrize(
    ("kind", "entry", "shown"),
    [
        ("Boolean", "message.amount == 3", True),
        ("SInt8", "-128", -128),
        ("SInt64", "message.delta", -5),
        ("UInt64", "message.wide", 2**64 - 1),
        ("[UInt32, UInt32]", "[message.amount, src_sid]", [3, 5]),
        ("{ b : SInt32, a : Boolean }", "{ a : true, b : message.delta }", {"a": True, "b": -5}),
        ("{ handle : UInt32, rights : UInt32 }", "message.key", {"handle": 7, "rights": 0}),
        ("{ id : UInt16, value : SInt32 }", "message.items.[0]", {"id": 9, "value": -9}),
        ("[{ x : UInt8 }, [UInt64, Boolean]]", "[{ x : 1 }, [message.wide, false]]",
         [{"x": 1}, [2**64 - 1, False]]),
        ("[SInt64, Boolean]", "[[1, true], [2, false]].[message.trio.[0]]", [2, False]),
    ],
)  # fmt: skip
def test_entries_of_every_type(
    ask: Callable[..., Asker], kind: str, entry: str, shown: object
) -> None:
    argument = f"{{ {SID}, entry : {entry} }}"
    contains = f"assert (s.contains {argument})"
    do = ask(SET % kind, add=f"s.init {{ {SID} }} s.add {argument} {contains}", has=contains)
    values = {"amount": 3, "delta": -5, "wide": 2**64 - 1, "items": [{"id": 9, "value": -9}]}
    assert do("add", **values, trio=[1, 0, 0]) == "granted"
    assert do.engine.state() == {"s": {7: [shown]}}


def test_entries_that_cannot_be_computed_fail(ask: Callable[..., Asker]) -> None:
    entry = "entry : message.items.[1]"
    do = ask(SET % "{ id : UInt16, value : SInt32 }", add=f"s.add {{ {SID}, {entry} }}")
    assert do("add", items=[{"id": 9, "value": -9}]) == "error"


def test_contexts_of_the_dead_go(load: Load, start: Start) -> None:
    calls = " ".join(["s.init { sid : dst_sid }", "m.init { sid : dst_sid }"])
    level = 'i.execute { image : (), target : dst_sid, level : "LOW", levelR : () }'
    objects = SET % "UInt8" + MAP % "UInt8" + 'policy object i : Mic { config = ["LOW"] }\n'
    policy = load(objects + f"execute dst=bank.Teller {{ {calls} {level} }}\n", PRELUDE)
    engine = start(policy)
    begin = Event(Kind.EXECUTE, EINIT, TELLER, 1, 10)
    for sid in range(10, 1010):  # each in place of the one before: pools of two are enough
        assert engine.judge(replace(begin, dst_sid=sid, released_sid=sid - 1)).granted
    assert [list(found) for found in engine.state().values()] == [[1009]] * 3
    assert not engine.judge(replace(begin, dst_sid=1009, released_sid=5)).granted
    engine.release(1009)
    assert list(engine.state().values()) == [{}] * 3


# ---- StaticMap ---------------------------------------------------------------

MAP = """policy object m : StaticMap { type Value = %s
  config = { keys : { "limit" : 40, "base" : 2, "" : 1 }, pool_size : 2 } }
"""
MAP_CALLS = {
    "init": f"m.init {{ {SID} }}",
    "fini": f"m.fini {{ {SID} }}",
    "set": f'm.set {{ {SID}, key : "base", value : message.amount }}',
    "commit": f"m.commit {{ {SID} }}",
    "rollback": f"m.rollback {{ {SID} }}",
    "get": f'assert (m.get {{ {SID}, key : "base" }} == message.amount)',
    "working": f'assert (m.get_uncommited {{ {SID}, key : "base" }} == message.amount)',
    "alias": f'assert (m.get_uncommitted {{ {SID}, key : "base" }} == message.amount)',
}


def test_a_map_is_owned_from_init_to_fini(ask: Callable[..., Asker]) -> None:
    do = ask(MAP % "UInt32", **MAP_CALLS)
    nothing = [do(name) for name in MAP_CALLS if name != "init"]
    assert nothing == ["denied"] * 4 + ["error"] * 3
    assert do.all(("init", 7), ("init", 7), ("init", 8), ("init", 9), ("init", 0)) == [
        "granted",
        "denied",
        "granted",
        "denied",
        "denied",
    ]
    assert do.all(("fini", 7), ("fini", 7), ("init", 9)) == ["granted", "denied", "granted"]


def test_a_map_has_a_base_and_a_working_copy(ask: Callable[..., Asker]) -> None:
    do = ask(MAP % "UInt32", **MAP_CALLS)

    def copies() -> tuple[str, str]:
        return tuple(  # type: ignore[return-value]
            next(str(n) for n in (2, 5, 6) if do(name, amount=n) == "granted")
            for name in ("get", "working")
        )

    assert do("init") == "granted" and copies() == ("2", "2")
    assert do("set", amount=5) == "granted" and copies() == ("2", "5")
    assert do("rollback") == "granted" and copies() == ("2", "2")
    assert do("set", amount=6) == "granted" and do("commit") == "granted"
    assert copies() == ("6", "6") and do("alias", amount=6) == "granted"
    assert do("fini") == "granted" and do("init") == "granted" and copies() == ("2", "2")
    defaults = {"": 1, "base": 2, "limit": 40}
    assert do.engine.state() == {"m": {7: {"base": defaults, "working": defaults}}}


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("SInt8", "-128", -128),
        ("SInt16", "math.neg (math.sint16 (message.small))", -2),
        ("SInt32", "message.delta", -5),
        ("SInt64", "message.delta", -5),
        ("UInt8", "255", 255),
        ("UInt64", "message.wide", 2**64 - 1),
    ],
)
def test_values_of_every_type(ask: Callable[..., Asker], kind: str, value: str, read: int) -> None:
    put = (
        f'm.init {{ {SID} }} m.set {{ {SID}, key : "limit", value : {value} }} m.commit {{ {SID} }}'
    )
    same = f'assert (m.get {{ {SID}, key : "limit" }} == {read})'
    do = ask(MAP % kind, nothing="grant ()", more="grant ()", put=f"{put} {same}")
    assert do("put", delta=-5, wide=2**64 - 1) == "granted"
    shown = do.engine.state()["m"][7]
    assert shown["base"]["limit"] == shown["working"]["limit"] == read


def test_a_key_may_come_from_the_message(ask: Callable[..., Asker]) -> None:
    get = "assert (m.get {{ {0}, key : {1} }} == message.amount)"
    do = ask(
        MAP.replace('"" : 1', '"" : 1, "été" : 9') % "UInt32",
        init=MAP_CALLS["init"],
        text=get.format(SID, "message.pin"),
        bytes=get.format(SID, "message.raw"),
        listed=get.format(SID, "[98, message.trio.[0], 115, 101]"),
        picked=get.format(SID, '["base", message.pin, "limit"].[message.trio.[1]]'),
        set=f"m.set {{ {SID}, key : message.pin, value : 3 }}",
    )
    assert do("init") == "granted"
    known = {"base": 2, "limit": 40, "": 1, "été": 9}
    assert all(do("text", pin=key, amount=value) == "granted" for key, value in known.items())
    assert [do("text", pin=key) for key in ("bas", "bases", "Base", "z", "limit ")] == ["error"] * 5
    assert do("bytes", raw=b"base", amount=2) == "granted" == do("bytes", raw=b"", amount=1)
    assert do("bytes", raw=b"bas\xff") == "error" == do("bytes", raw=b"bas\0")
    assert do("listed", trio=[97, 0, 0], amount=2) == "granted"
    assert do("listed", trio=[98, 0, 0]) == "error"
    picked = [(0, "", 2), (1, "", 1), (2, "", 40), (1, "base", 2)]
    for index, pin, value in picked:
        assert do("picked", trio=[0, index, 0], pin=pin, amount=value) == "granted"
    assert do("picked", trio=[0, 3, 0]) == "error"
    assert [do("set", pin="été"), do("set", pin="none")] == ["granted", "denied"]


# ---- Mic ---------------------------------------------------------------------

CHAIN = 'policy object i : Mic { config = ["LOW", "MID", "HIGH"] }\n'
LATTICE = """policy object i : Mic {
  config = { degrees : ["weak", "strong"], categories : ["radio", "disk"] } }
"""
TO = "target : message.key.handle"
FROM = "source : message.amount"


def execute(level: str, least: str = "()", image: str = "()") -> str:
    return f"i.execute {{ image : {image}, {TO}, level : {level}, levelR : {least} }}"


def create(level: str, container: str = "()") -> str:
    return f"i.create {{ {FROM}, {TO}, container : {container}, driver : 1, level : {level} }}"


def levels(do: Asker) -> dict[int, str]:
    return {sid: shown["level"] for sid, shown in do.engine.state()["i"].items()}


LOW, MID, HIGH = 11, 12, 13


@pytest.fixture
def chain(ask: Callable[..., Asker]) -> Callable[..., Asker]:
    """SID 1 is the driver; 11, 12 and 13 are subjects of ascending level."""

    def chain(**calls: str) -> Asker:
        words = {name: execute(f'"{name.upper()}"') for name in ("low", "mid", "high")}
        do = ask(CHAIN, **words, **calls)
        for name, sid in (("low", LOW), ("mid", MID), ("high", HIGH), ("high", 1)):
            assert do(name, sid) == "granted"
        return do

    return chain


def flows(do: Asker, name: str) -> str:
    """Which of the pairs source, target are granted."""
    sids = (LOW, MID, HIGH)
    return " ".join(
        "".join("g" if do(name, target, amount=source) == "granted" else "-" for target in sids)
        for source in sids
    )


def test_data_flows_down(chain: Callable[..., Asker]) -> None:
    """Rows are sources, columns targets, both ascending."""
    pair = f"{{ {FROM}, {TO} }}"
    do = chain(**{name: f"i.{name} {pair}" for name in ("call", "invoke", "read", "write")})
    assert flows(do, "invoke") == flows(do, "write") == "g-- gg- ggg"
    assert flows(do, "call") == flows(do, "read") == "ggg -gg --g"
    assert [do("invoke", LOW, amount=99), do("read", 99, amount=LOW)] == ["denied"] * 2


def test_a_subject_may_receive_less(chain: Callable[..., Asker]) -> None:
    pair = f"{{ {FROM}, {TO} }}"
    do = chain(
        careless=execute('"HIGH"', '"LOW"'),
        above=execute('"LOW"', '"HIGH"'),
        call=f"i.call {pair}",
        read=f"i.read {pair}",
        invoke=f"i.invoke {pair}",
    )
    assert do("careless", HIGH) == "granted" and do("above", LOW) == "denied"
    assert flows(do, "call") == flows(do, "read") == "ggg -gg ggg"
    assert flows(do, "invoke") == "g-- gg- ggg"
    assert do.engine.state()["i"][HIGH] == {"level": "HIGH", "levelR": "LOW"}


def test_execute(chain: Callable[..., Asker]) -> None:
    image = "image : message.amount"
    do = chain(
        as_image=f"i.execute {{ {image}, {TO}, level : (), levelR : () }}",
        as_mid=f'i.execute {{ {image}, {TO}, level : "MID", levelR : "LOW" }}',
    )
    assert [do("as_image", 20, amount=MID), do("as_image", 21, amount=99)] == ["granted", "denied"]
    assert do("as_image", 0, amount=MID) == "denied"
    mids = [do("as_mid", 22, amount=image) for image in (LOW, MID, HIGH, 99)]
    assert mids == ["denied", "granted", "granted", "denied"]
    assert levels(do)[20] == "MID" and levels(do)[22] == "MID" and 21 not in levels(do)
    assert do("as_image", 22, amount=HIGH) == "granted", "it may be given another one"
    assert do.engine.state()["i"][22] == {"level": "HIGH", "levelR": "HIGH"}


def test_create(chain: Callable[..., Asker]) -> None:
    do = chain(
        made=create('"MID"'),
        own=create("()"),
        inside=create('"MID"', container="99"),
        inside_low=create('"MID"', container="11"),
        weak_driver=create('"MID"').replace("driver : 1", "driver : 11"),
    )
    assert [do("made", 30, amount=source) for source in (LOW, MID, HIGH, 99)] == [
        "denied",
        "granted",
        "granted",
        "denied",
    ]
    assert [do("own", 31, amount=MID), do("own", 32, amount=99)] == ["granted", "denied"]
    assert [do(name, 33, amount=HIGH) for name in ("inside", "inside_low", "weak_driver")] == [
        "denied"
    ] * 3
    assert do("made", 0, amount=HIGH) == "denied"
    assert {sid: level for sid, level in levels(do).items() if sid >= 30} == {30: "MID", 31: "MID"}
    assert do.engine.state()["i"][30] == {"level": "MID"}, "a resource has no levelR"


def test_delete(chain: Callable[..., Asker]) -> None:
    delete = f"i.delete {{ {FROM}, {TO}, container : %s, driver : %s }}"
    do = chain(
        create=create('"MID"'),
        delete=delete % ("()", "1"),
        inside=delete % ("99", "1"),
        weak_driver=delete % ("()", "11"),
    )
    assert do("create", 30, amount=HIGH) == "granted"
    refused = [("inside", 30, HIGH), ("weak_driver", 30, HIGH), ("delete", 30, LOW)]
    refused += [("delete", 31, HIGH), ("delete", 30, 99)]
    assert [do(name, sid, amount=source) for name, sid, source in refused] == ["denied"] * 5
    assert do("delete", 30, amount=MID) == "granted" and 30 not in levels(do)


def test_upgrade(chain: Callable[..., Asker]) -> None:
    upgrade = f'i.upgrade {{ {FROM}, {TO}, container : %s, driver : %s, level : "MID" }}'
    do = chain(
        create_low=create('"LOW"'),
        create_high=create('"HIGH"'),
        upgrade=upgrade % ("()", "1"),
        inside=upgrade % ("13", "1"),
        inside_low=upgrade % ("11", "1"),
        weak_driver=upgrade % ("()", "11"),
    )
    for name, sid in (("create_low", 30), ("create_low", 31), ("create_high", 32)):
        assert do(name, sid, amount=HIGH) == "granted"
    assert [do(name, 30, amount=HIGH) for name in ("inside_low", "weak_driver")] == ["denied"] * 2
    assert [do("upgrade", sid, amount=HIGH) for sid in (32, 33)] == ["denied"] * 2
    assert do("upgrade", 30, amount=LOW) == "denied"
    assert [do("upgrade", 30, amount=MID), do("upgrade", 30, amount=MID)] == ["granted", "denied"]
    assert do("inside", 31, amount=HIGH) == "granted"
    assert [levels(do)[sid] for sid in (30, 31, 32)] == ["MID", "MID", "HIGH"]


def test_a_lattice_has_incomparable_levels(ask: Callable[..., Asker]) -> None:
    def level(degree: str, *categories: str) -> str:
        listed = ", ".join(f'"{name}"' for name in categories)
        return f'{{ degree : "{degree}", categories : [{listed}] }}'

    calls = {
        "weak": execute('"weak"'),
        "weak_radio": execute('{ categories : ["radio", "radio"] }'),
        "strong": execute('{ degree : "strong" }'),
        "strong_disk": execute(level("strong", "disk")),
        "top": execute(level("strong", "disk", "radio")),
        "lowest": execute("{}"),
    }
    do = ask(LATTICE, **calls, invoke=f"i.invoke {{ {FROM}, {TO} }}")
    for sid, name in enumerate(calls, start=20):
        assert do(name, sid) == "granted"
    below = ["".join("-g"[do("invoke", t, amount=s) == "granted"] for t in range(20, 26))
             for s in range(20, 26)]  # fmt: skip
    assert below == ["g----g", "gg---g", "g-g--g", "g-gg-g", "gggggg", "g----g"]
    assert list(levels(do).values()) == [
        "{}/weak",
        "{radio}/weak",
        "{}/strong",
        "{disk}/strong",
        "{disk,radio}/strong",
        "{}/weak",
    ]


def test_choice_on_a_level(ask: Callable[..., Asker]) -> None:
    branches = '"strong" : grant () "{radio,disk}/weak" : deny () _ : assert (message.amount == 1)'
    do = ask(
        LATTICE,
        strong=execute('"strong"'),
        both=execute('{ degree : (), categories : ["disk", "radio"] }'),
        other=execute("{}"),
        choice=f"choice (i.query_level {{ source : message.key.handle }}) {{ {branches} }}",
    )
    assert do.all(("strong", 20), ("both", 21), ("other", 22)) == ["granted"] * 3
    assert [do("choice", sid) for sid in (20, 21, 22, 23, 0)] == [
        "granted",
        "denied",
        "denied",
        "error",
        "error",
    ]
    assert do("choice", 22, amount=1) == "granted"


def test_a_level_may_be_that_of_another(ask: Callable[..., Asker]) -> None:
    other = LATTICE.replace("object i", "object j")
    like = "j.query_level { source : message.amount }"
    do = ask(
        LATTICE + other,
        strong=execute('"strong"').replace("i.execute", "j.execute"),
        copy=execute(like),
        copy_any=execute(f"[{like}, j.query_level {{ source : 20 }}].[message.trio.[0]]"),
    )
    assert do("strong", 20) == "granted" and do("copy", 30, amount=20) == "granted"
    assert do("copy", 31, amount=21) == "error"
    assert do("copy_any", 32, amount=20, trio=[1, 0, 0]) == "granted"
    assert levels(do) == {30: "{}/strong", 32: "{}/strong"}


def test_a_level_may_be_named_by_the_message(ask: Callable[..., Asker]) -> None:
    do = ask(
        LATTICE,
        degree=execute("message.pin"),
        category=execute('{ degree : (), categories : [message.pin, "disk"] }'),
        picked=execute('{ degree : ["weak", message.pin].[message.trio.[0]], categories : () }'),
        lists=execute('{ categories : [["disk"], ["disk", "radio"]].[message.trio.[0]] }'),
    )
    assert [do("degree", 20, pin=pin) for pin in ("strong", "stron", "")] == [
        "granted",
        "denied",
        "denied",
    ]
    assert [do("category", 21, pin=pin) for pin in ("radio", "weak")] == ["granted", "denied"]
    assert [do("picked", 22, pin="none", trio=[n, 0, 0]) for n in (1, 0, 2)] == [
        "denied",
        "granted",
        "error",
    ]
    assert do("lists", 23, trio=[1, 0, 0]) == "granted"
    assert list(levels(do).values()) == [
        "{}/strong",
        "{disk,radio}/weak",
        "{}/weak",
        "{disk,radio}/weak",
    ]


def test_levels_are_for_as_many_sids_as_there_may_be(ask: Callable[..., Asker]) -> None:
    do = ask(CHAIN, max_sids=2, low=execute('"LOW"'))
    assert [do("low", sid) for sid in (7, 8, 9, 7)] == ["granted", "granted", "denied", "granted"]


def test_48_categories_and_many_degrees(ask: Callable[..., Asker]) -> None:
    categories = ", ".join(f'"c{n}"' for n in range(48))
    degrees = ", ".join(f'"d{n}"' for n in range(300))
    config = f"{{ degrees : [{degrees}], categories : [{categories}] }}"
    do = ask(
        f"policy object i : Mic {{ config = {config} }}\n",
        top=execute(f'{{ degree : "d299", categories : [{categories}] }}'),
        some=execute('{ degree : "d298", categories : ["c47", "c0"] }'),
        invoke=f"i.invoke {{ {FROM}, {TO} }}",
        choice='choice (i.query_level { source : 21 }) { "{c0,c47}/d298" : grant () _ : deny () }',
    )
    assert do.all(("top", 20), ("some", 21), ("choice", 0)) == ["granted"] * 3
    assert do("invoke", 21, amount=20) == "granted" and do("invoke", 20, amount=21) == "denied"


# ---- state between policies --------------------------------------------------


def test_a_new_policy_takes_over_equal_objects(load: Load, library: object) -> None:
    objects = SET % "UInt8" + MAP % "UInt8" + LATTICE
    fill = """execute dst=bank.Teller {
      s.init { sid : dst_sid } s.add { sid : dst_sid, entry : 9 } s.add { sid : dst_sid, entry : 4 }
      m.init { sid : dst_sid } m.set { sid : dst_sid, key : "base", value : 77 }
      i.execute { image : (), target : dst_sid, level : "strong", levelR : "weak" } }
    """

    def loaded(text: str) -> Vm:
        return Vm(compile_policy(load(text, PRELUDE).tree), library)  # type: ignore[arg-type]

    old = loaded(objects + fill)
    for sid in (7, 8):
        assert old.judge(Event(Kind.EXECUTE, EINIT, TELLER, 1, sid)).granted
    same = loaded("execute { deny () }\n" + objects)
    assert same.migrate(old) == 3 and same.state() == old.state()
    others = [
        objects.replace("set_size : 2", "set_size : 3"),
        objects.replace("Entry = UInt8", "Entry = UInt16"),
        objects.replace('"base" : 2', '"base" : 3'),
        objects.replace('"weak", "strong"', '"weak", "mid", "strong"'),
        objects.replace("object i", "object other"),
    ]
    for text in others:
        new = loaded(text)
        assert new.migrate(old) == 2
        assert sum(map(bool, new.state().values())) == 2


# ---- what is too large -------------------------------------------------------


def test_too_large_a_state_is_a_finding_of_the_compiler_too(load: Load) -> None:
    policy = load('policy object i : Mic { config = ["LOW"] }\n', PRELUDE)
    assert compile_policy(policy.tree, max_sids=1 << 20)
    many = "".join(f'policy object i{n} : Mic {{ config = ["LOW"] }}\n' for n in range(30))
    policy = load(many, PRELUDE)
    with pytest.raises(DescriptionError, match="PSL-064") as caught:
        compile_policy(policy.tree, max_sids=1 << 20)
    (finding,) = caught.value.findings
    assert finding.line > 8 and finding.text.startswith("i")


def test_too_many_writes_are_an_error_in_words(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load(MAP % "UInt8" + binding(init=MAP_CALLS["init"]), PRELUDE)
    monkeypatch.setattr(binary, "MAX_STATE", 18)
    with pytest.raises(KssError, match="could change 19 words of state: at most 18"):
        compile_policy(policy.tree)


def test_a_large_set_is_fast_and_exact(load: Load, library: object) -> None:
    """Entries that share a bucket or differ in one bit, up to the brim."""
    size = 3000
    text = f"""policy object s : HashSet {{ type Entry = UInt64
      config = {{ set_size : {size}, pool_size : 1 }} }}\n"""
    policy = load(text + binding(**SET_CALLS).replace("message.amount", "message.wide"), PRELUDE)
    do = Asker(policy, Vm(compile_policy(policy.tree), library), **SET_CALLS)  # type: ignore[arg-type]
    entries = [n << 34 for n in range(size // 2)] + [(1 << 63) + n for n in range(size // 2)]
    assert do("init") == "granted"
    assert all(do("add", wide=entry) == "granted" for entry in entries)
    assert do("add", wide=5) == "denied" and do("add", wide=entries[-1]) == "granted"
    assert all(do("has", wide=entry) == "granted" for entry in entries)
    assert all(do("has", wide=entry + 1) == "denied" for entry in entries[1 : size // 2])
    assert all(do("remove", wide=entry) == "granted" for entry in entries[::2])
    assert do.engine.state()["s"][7] == sorted(entries[1::2])


def test_every_defect_of_a_configuration_is_found_at_once(load: Load) -> None:
    keys = 'keys : { "a" : 300, b : 1, "a" : 2, "c" : "d" }'
    text = (
        f"policy object m : StaticMap {{ type Value = UInt8 config = {{ {keys}, pool_size : 0 }} }}"
    )
    with pytest.raises(DescriptionError) as caught:
        load(text + "\nexecute { grant () }", PRELUDE)
    found = [(finding.rule, finding.text) for finding in caught.value.findings]
    assert found == [
        ("PSL-062", "0"),
        ("PSL-062", "300"),
        ("PSL-062", "b"),
        ("PSL-027", '"a"'),
        ("PSL-062", '"d"'),
    ]
