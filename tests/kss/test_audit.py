"""Which calls an audit profile has recorded, on both engines; the reference is section 1.8 of the
languages' description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kss.api import Policy
from kss.errors import DescriptionError
from kss.events import Event, Kind, Recorded, Result
from kss.message import encode

from tests.kss.conftest import Load, Start

GRANTED, DENIED, FAILED = Result.GRANTED, Result.DENIED, Result.FAILED
DOOR = """
policy object door : Flow {
  type State = "shut" | "open" | "locked"
  config = { states : ["shut", "open", "locked"], initial : "shut"
           , transitions : { "shut" : ["open", "locked"], "open" : ["shut"], "locked" : ["shut"] } }
}
"""


def execute(policy: Policy, dst: str, sid: int = 5, **more: Any) -> Event:
    core = policy.classes.index("kl.core.Core")
    return Event(Kind.EXECUTE, core, policy.classes.index(dst), 1, sid, **more)


def recorded(policy: Policy, engine: Any) -> list[tuple[str, object]] | None:
    """The calls of the last record, by the texts of the rules; None if there is no record."""
    record: Recorded | None = engine.recorded
    if record is None:
        return None
    return [(policy.rules[site].text.split(" {")[0], result) for site, result in record.calls]


Judge = Callable[..., list[tuple[str, object]] | None]


@pytest.fixture
def judge(load: Load, start: Start) -> Callable[[str], Judge]:
    """For a policy text: judges executes of a class and gives what is recorded."""

    def begin(text: str) -> Judge:
        policy = load(text)
        engine = start(policy)

        def run(dst: str = "bank.Vault", sid: int = 5, **more: Any) -> Any:
            engine.judge(execute(policy, dst, sid, **more))
            return recorded(policy, engine)

        return run

    return begin


PROFILES = """
audit profile quiet = { 0 : { base : { kss : [] } } }
audit profile denials = { 0 : { base : { kss : ["denied"] } } }
audit profile grants = { 0 : { base : { kss : ["granted"] } } }
audit profile both = { 0 : { base : { kss : ["granted", "denied"] } } }
"""
RULES = "execute { grant () assert (dst_sid == 5) deny (dst_sid == 6) }\n"


@pytest.mark.parametrize(
    ("default", "granted", "denied"),
    [
        ("", None, None),
        ("audit default = quiet 0", None, None),
        ("audit default = denials 0", None, [("assert (dst_sid == 5)", DENIED)]),
        (
            "audit default = grants 0",
            [
                ("grant ()", GRANTED),
                ("assert (dst_sid == 5)", GRANTED),
                ("deny (dst_sid == 6)", GRANTED),
            ],
            [("grant ()", GRANTED), ("deny (dst_sid == 6)", GRANTED)],
        ),
        (
            "audit default = both 0",
            [
                ("grant ()", GRANTED),
                ("assert (dst_sid == 5)", GRANTED),
                ("deny (dst_sid == 6)", GRANTED),
            ],
            [
                ("grant ()", GRANTED),
                ("assert (dst_sid == 5)", DENIED),
                ("deny (dst_sid == 6)", GRANTED),
            ],
        ),
        ("audit default = both 1", None, None),
    ],
)
def test_results_are_recorded_as_listed(
    judge: Any, default: str, granted: object, denied: object
) -> None:
    run = judge(PROFILES + RULES + default)
    assert run(sid=5) == granted
    assert run(sid=7) == denied


def test_constant_verdicts(judge: Any) -> None:
    run = judge(PROFILES + "execute { grant () deny () }\naudit default = denials 0")
    assert run() == [("deny ()", DENIED)]
    run = judge(PROFILES + "execute { grant () }\naudit default = denials 0")
    assert run() is None


def test_other_objects_have_conditions_of_their_own(judge: Any) -> None:
    text = """
    policy object strict : Base { }
    audit profile p = { 0 : { strict : { kss : ["granted"] } } }
    audit default = p 0
    execute { grant () strict.grant () bool.assert (true) }
    """
    assert judge(text)() == [("strict.grant ()", GRANTED)]


def test_sections_set_the_profile_for_themselves_and_inner_ones(judge: Any) -> None:
    text = (
        PROFILES
        + """
    audit default = both 0
    execute {
        grant ()
        match dst=bank.Vault {
            assert (true)
            audit quiet
            match src=kl.core.Core { assert (1 == 1) audit grants }
            deny (false)
            choice (dst_sid) { 5 : { audit both assert (2 == 2) } _ : assert (3 == 3) }
        }
        assert (4 == 4)
    }
    execute { assert (5 == 5) audit denials }
    """
    )
    run = judge(text)
    last = ("assert (4 == 4)", GRANTED)
    assert run(sid=5) == [
        ("grant ()", GRANTED),
        ("assert (1 == 1)", GRANTED),
        ("assert (2 == 2)", GRANTED),
        last,
    ]
    assert run(sid=6) == [("grant ()", GRANTED), ("assert (1 == 1)", GRANTED), last]
    assert run("bank.Teller") == [("grant ()", GRANTED), last]


def test_the_empty_profile_can_be_named(judge: Any) -> None:
    text = PROFILES + "audit default = both 0\nexecute { audit empty grant () }"
    assert judge(text)() is None


def test_what_no_rule_decided_is_always_recorded(load: Load, start: Start) -> None:
    policy = load("execute dst=bank.Vault { match src=Einit { grant () } }\nrequest { grant () }")
    engine = start(policy)
    engine.judge(execute(policy, "bank.Vault"))
    assert engine.recorded == Recorded(0)
    engine.judge(Event(Kind.REQUEST, 0, 3, 1, 2, b"short"))
    assert engine.recorded == Recorded(0)
    engine.judge(Event(Kind.REQUEST, None, 3, 1, 2, b""))
    assert engine.recorded == Recorded(0)


LEVELS = """
audit profile p =
  { 0 : { base : { kss : ["denied"] } }
  , 1 : { base : { kss : ["granted"] } }
  , 200 : { base : { kss : ["granted", "denied"] } }
  }
audit default = p 0
use EDL ops.Console
security src=ops.Console, method=Watch { set_level (message.level) }
execute { assert (dst_sid == 5) }
"""


@pytest.fixture(autouse=True)
def console(tmp_path: Path) -> None:
    """A class that may set the audit level."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/Console.edl").write_text("entity ops.Console\nsecurity ops.IWatch\n")
    interface = "package ops.IWatch\ninterface { Watch(in UInt8 level); }\n"
    (tmp_path / "ops/IWatch.idl").write_text(interface)


def test_levels_at_run_time(load: Load, start: Start) -> None:
    policy = load(LEVELS)
    engine = start(policy)
    console = next(c for c in policy.tree.classes if c.name == "ops.Console")
    (method,) = console.security[0].interface.methods

    def set_level(level: int) -> Recorded | None:
        data = encode(method.request, {"level": level}, riid=0, mid=method.mid)
        assert engine.judge(Event(Kind.SECURITY, console.index, None, 9, 0, data)).granted
        return engine.recorded

    def of(sid: int) -> object:
        engine.judge(execute(policy, "bank.Teller", sid))
        return engine.recorded

    rule = ((1, DENIED),)
    assert (of(5), of(6)) == (None, Recorded(0, rule))
    assert set_level(1) is None  # judged at level 0, which records no grants
    assert (of(5), of(6)) == (Recorded(1, ((1, GRANTED),)), None)
    assert set_level(200) == Recorded(1, ((0, GRANTED),))
    assert (of(5), of(6)) == (Recorded(200, ((1, GRANTED),)), Recorded(200, rule))
    assert set_level(7) == Recorded(200, ((0, GRANTED),))  # a level that no profile defines
    assert (of(5), of(6)) == (None, None)
    engine.judge(Event(Kind.EXECUTE, None, 0, 1, 2))
    assert engine.recorded == Recorded(7)
    set_level(0)
    assert (of(5), of(6)) == (None, Recorded(0, rule))


def test_a_denied_event_does_not_change_the_level(judge: Any, load: Load, start: Start) -> None:
    text = LEVELS + "execute dst=bank.Vault { set_level (1) deny () }"
    policy = load(text)
    engine = start(policy)
    engine.judge(execute(policy, "bank.Vault"))
    assert recorded(policy, engine) == [("deny ()", DENIED)]
    assert (engine.audit_level, engine.recorded.level) == (0, 0)  # type: ignore[union-attr]


def test_a_trial_does_not_change_the_level(load: Load, start: Start) -> None:
    policy = load(LEVELS + "execute dst=bank.Vault { set_level (1) }")
    engine = start(policy)
    engine.judge(execute(policy, "bank.Vault", trial=True))
    assert engine.audit_level == 0
    engine.judge(execute(policy, "bank.Vault"))
    assert engine.audit_level == 1


OMIT = (
    DOOR
    + """
audit profile p = { 0 : { door : { kss : ["granted", "denied"], omit : ["open", "locked"] } } }
audit default = p 0
execute dst=bank.Vault { door.init { sid : dst_sid } }
execute dst=bank.Teller { door.enter { sid : dst_sid, state : "open" } }
execute dst=Einit { door.allow { sid : dst_sid, states : ["open", "shut"] } }
execute dst=kl.core.Core { door.fini { sid : dst_sid } }
"""
)


def test_flow_omits_states(judge: Any) -> None:
    run = judge(OMIT)
    assert run("Einit") == [("door.allow", DENIED)]  # no state: in none that is omitted
    assert run("bank.Vault") == [("door.init", GRANTED)]
    assert run("Einit") == [("door.allow", GRANTED)]
    assert run("bank.Teller") == [("door.enter", GRANTED)]  # the state before the call counts
    assert run("Einit") is None
    assert run("bank.Teller") is None
    assert run("kl.core.Core") is None


QUERY = (
    DOOR
    + """
audit profile p = { 0 : { door : { omit : ["open"] } }, 1 : { door : { kss : ["granted"] } } }
execute dst=bank.Vault { door.init { sid : dst_sid } }
execute dst=bank.Teller { door.enter { sid : dst_sid, state : "open" } }
execute dst=Einit {
    choice (door.query { sid : dst_sid }) { "shut" : grant () "open" : grant () }
    door.query { sid : dst_sid }
    match src=kl.core.Core { audit empty door.query { sid : dst_sid } }
}
"""
)


def test_flow_queries_are_recorded_where_omit_is_given(judge: Any) -> None:
    run = judge(QUERY + "audit default = p 0")
    run("bank.Vault")
    assert run("Einit") == [("door.query", "shut"), ("door.query", "shut")]
    run("bank.Teller")
    assert run("Einit") is None
    run = judge(QUERY + "audit default = p 1")
    assert run("bank.Vault") == [("door.init", GRANTED)]
    assert run("Einit") is None


def test_queries_beside_rules(judge: Any) -> None:
    run = judge(
        DOOR
        + """
        audit profile p = { 0 : { base : { kss : ["denied"] }, door : { kss : [], omit : [] } } }
        audit default = p 0
        execute { grant () }
        execute dst=bank.Vault { door.init { sid : dst_sid } }
        execute dst=Einit {
            assert (src_sid == 2)
            choice (door.query { sid : dst_sid }) { "shut" : { grant () deny (true) } }
        }
        """
    )
    run("bank.Vault")
    assert run("Einit") == [
        ("assert (src_sid == 2)", DENIED),
        ("door.query", "shut"),
        ("deny (true)", DENIED),
    ]


REGEX = """
use nk.regex._
policy object other : Regex { }
audit profile p = { 0 : { re : { emit : ["match", "select"] } }, 1 : { re : { emit : ["match"] } }
                  , 2 : { re : { emit : ["select"] }, other : { emit : [] } } }
request dst=bank.Vault endpoint=door method=Open {
    assert (re.match { text : message.pin, pattern : "a+" } ==> true)
    assert (false ==> re.match { text : message.pin, pattern : "never" })
    assert (other.match { text : message.pin, pattern : "!b" })
    choice (re.select { text : message.pin }) { "x" : grant () "a*" : grant () "b" : deny (false) _ : grant () }
}
"""


@pytest.mark.parametrize("level", range(3))
def test_regex_emits(load: Load, start: Start, level: int) -> None:
    policy = load(REGEX + f"audit default = p {level}")
    engine = start(policy)
    vault = next(c for c in policy.tree.classes if c.name == "bank.Vault")
    endpoint = vault.endpoint("door")
    assert endpoint
    method = next(m for m in endpoint.interface.methods if m.name == "Open")
    teller = policy.classes.index("bank.Teller")

    def of(name: str) -> Any:
        data = encode(method.request, {"pin": name}, riid=endpoint.riid, mid=method.mid)
        engine.judge(Event(Kind.REQUEST, teller, vault.index, 3, 4, data))
        return [result for _, result in recorded(policy, engine) or ()]

    for name, match, select in (("aa", True, "a*"), ("q", False, None), ("x", False, "x")):
        expected = {0: [match, select], 1: [match], 2: [select]}[level]
        assert of(name) == expected


def test_failed_evaluations_count_as_denials(judge: Any) -> None:
    run = judge(
        DOOR
        + PROFILES
        + """
        audit profile flows = { 0 : { door : { kss : ["denied"], omit : ["shut"] } } }
        execute dst=bank.Vault { audit denials assert (dst_sid - 6 == 0) }
        execute dst=bank.Teller { audit grants assert (dst_sid - 6 == 0) }
        execute dst=Einit { audit denials choice (door.query { sid : 3 }) { "open" : grant () } }
        execute dst=kl.core.Core { audit flows door.allow { sid : dst_sid - 6, states : [] } }
        """
    )
    assert run("bank.Vault") == [("assert (dst_sid - 6 == 0)", FAILED)]
    assert run("bank.Teller") is None
    assert run("Einit") == [("choice (door.query", FAILED)]
    assert run("kl.core.Core") == [("door.allow", FAILED)]


def test_a_choice_that_leads_nowhere_counts_as_a_denial_by_base(judge: Any) -> None:
    text = PROFILES + "execute { choice (dst_sid) { 1 : grant () 2 : grant () } }\n"
    assert judge(text + "audit default = denials 0")() == [("choice (dst_sid)", DENIED)]
    assert judge(text + "audit default = grants 0")() is None


def test_expressions_are_not_recorded_of_an_event_that_failed(judge: Any) -> None:
    run = judge(
        DOOR
        + """
        audit profile p = { 0 : { base : { kss : ["denied"] }, door : { omit : [] } } }
        audit default = p 0
        execute dst=bank.Vault { door.init { sid : dst_sid } }
        execute dst=Einit { door.query { sid : dst_sid } assert (dst_sid - 6 == 0) }
        """
    )
    run("bank.Vault")
    assert run("Einit") == [("assert (dst_sid - 6 == 0)", FAILED)]


def test_policies_that_ask_for_nothing_cost_nothing(load: Load) -> None:
    """No notes, no extra rules: the binary has nothing about audit."""
    from kss.binary import Op, read
    from kss.compiler import compile_policy

    quiet = load(QUERY)
    image = read(compile_policy(quiet.tree))
    assert (image.watched, image.watches, image.max_notes) == ([], [], 0)
    asking = load(QUERY + "audit default = p 0")
    assert len(asking.rules) == len(quiet.rules) + 2
    image = read(compile_policy(asking.tree))
    assert len({i.x for i in image.code if i.op == Op.NOTE}) == 2
    assert image.max_notes == 2


@pytest.mark.parametrize(
    ("map", "finding"),
    [
        ("{ 0 : { math : { kss : [] } } }", "PSL-072"),
        ("{ 0 : { door : { emit : [] } } }", "Flow has no condition emit"),
        ('{ 0 : { base : { omit : ["open"] } } }', "Base has no condition omit"),
        ('{ 0 : { door : { omit : ["ajar"] } } }', "known: locked, open, shut"),
        ('{ 0 : { base : { kss : ["maybe"] } } }', '"maybe" is not known here'),
        ("{ 256 : { base : { kss : [] } } }", "256 is no level"),
        ("{ 0 : { } , 0 : { } }", "level 0 is given twice"),
        ("{ 0 : { dor : { kss : [] } } }", "did you mean 'door'?"),
        ("{ 0 : [] }", "a dictionary is needed here"),
        ("{ 0 : { base : { kss : { } } } }", "a list of texts is needed here"),
    ],
)
def test_wrong_profiles(load: Load, map: str, finding: str) -> None:
    with pytest.raises(DescriptionError, match=r"security\.psl:\d+:\d+: error PSL-0") as error:
        load(DOOR + f"audit profile p = {map}\nexecute {{ grant () }}")
    assert finding in str(error.value)
