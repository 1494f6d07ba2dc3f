"""Policies in their own language, through checker, compiler and VM; and policies of some size."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from kss import compiler
from kss.api import load_policy
from kss.binary import read
from kss.codegen import decisions
from kss.compiler import compile_policy
from kss.errors import DescriptionError, KssError
from kss.events import Event, Kind, Reason
from kss.layout import Endpoint
from kss.tree import Expression, ListValue
from kss.types import UINT32, ListType
from kss.vm import Vm

from tests.vm.build import (
    DST,
    U32,
    Builder,
    apply,
    classes,
    interface,
    method,
    place,
    unsigned,
)
from tests.vm.conftest import ROOT
from tests.vm.generate_events import Events
from tests.vm.test_differential import POOL, Case, differences

FILES = {
    "lab/IValve.idl": """
        package lab.IValve
        const UInt32 MAX = 4;
        struct Step { UInt16 angle; SInt32 delta; string<8> note; }
        union Goal { UInt32 position; bytes<4> raw; }
        typedef sequence<Step, MAX> Steps;
        interface {
            Turn(in Steps steps, in Goal goal, in Handle job, out UInt8 rc, error SInt16 code);
            Name(in string<16> name, in array<UInt64, 2> pair, out string<16> old);
        }""",
    "lab/Pump.cdl": "component lab.Pump  endpoints { valve : lab.IValve }",
    "lab/Plant.edl": "task class lab.Plant  components { left : lab.Pump  right : lab.Pump }",
    "lab/Panel.edl": "entity lab.Panel  security lab.IValve_",
    "lab/IValve_.idl": "package lab.IValve_  interface { Reset(in UInt8 level, in Handle job); }",
    "security.psl": """
        execute: kl.core.Execute
        use nk.base._
        use nk.flow._
        use nk.hashmap._
        use nk.staticmap._
        use nk.mic._
        use nk.regex._
        use EDL Einit
        use EDL kl.core.Core
        use EDL lab.Plant
        use EDL lab.Panel
        audit default = empty 1
        policy object job : Flow {
            type State = "idle" | "busy" | "done"
            config = { states : ["idle", "busy", "done"], initial : "idle"
                     , transitions : { "idle" : ["busy"], "busy" : ["done", "idle"] } }
        }
        policy object copy : Flow {
            type State = "idle" | "busy" | "done"
            config = { states : ["done", "busy", "idle"], initial : "busy"
                     , transitions : { "busy" : ["busy", "done"], "done" : ["idle", "done"] } }
        }
        policy object seen : HashSet {
            type Entry = { handle : UInt32, rights : UInt32 }
            config = { set_size : 3, pool_size : 2 }
        }
        policy object quota : StaticMap {
            type Value = SInt16
            config = { keys : { "red" : -3, "ab" : 7, "" : 0 }, pool_size : 2 }
        }
        policy object rank : Mic {
            config = { degrees : ["a", "red"], categories : ["ab", "é"] }
        }
        execute { grant () }
        execute dst=lab.Panel {
            seen.init { sid : dst_sid }
            seen.add { sid : dst_sid, entry : { rights : 1, handle : src_sid } }
            quota.init { sid : dst_sid }
            rank.execute { image : (), target : dst_sid, levelR : "a"
                         , level : { degree : "red", categories : ["ab"] } }
        }
        request dst=lab.Plant endpoint=right.valve {
            match method=Turn {
                seen.add { sid : src_sid, entry : message.job }
                rank.create { source : src_sid, target : message.job.handle, container : ()
                            , driver : src_sid, level : ["a", "red"].[message.job.rights] }
            }
            match method=Name {
                quota.set { sid : src_sid, key : message.name
                          , value : quota.get { sid : src_sid, key : "ab" } + 1 }
                choice (rank.query_level { source : src_sid }) {
                    "{ab}/red" : quota.commit { sid : src_sid }
                    "a" : quota.rollback { sid : src_sid }
                    _ : deny ()
                }
            }
        }
        response src=lab.Plant endpoint=right.valve method=Turn {
            assert (seen.contains { sid : dst_sid, entry : { handle : dst_sid, rights : message.rc } })
        }
        execute dst=lab.Plant { job.init { sid : dst_sid }  copy.init { sid : dst_sid } }
        request dst=lab.Plant endpoint=left.valve {
            match method=Turn {
                assert (message.steps.[0].angle * 2 < 360 && message.steps.[0].delta * 2 >= -100 || message.steps.[0].angle == 0)
                choice (job.query { sid : dst_sid }) {
                    "idle" : job.enter { sid : dst_sid, state : "busy" }
                    "busy" : { job.enter { sid : dst_sid, state : "idle" }
                               deny (message.goal.position > 7) }
                }
            }
            match method=Name src=lab.Panel {
                choice (message.name) { "red" : grant ()  "ab" : deny ()  _ : {
                    assert (size (message.name) == 0 ==> message.pair.[1] != 0)
                    copy.enter { sid : dst_sid, state : job.query { sid : dst_sid } }
                    copy.allow { sid : dst_sid
                               , states : [job.query { sid : dst_sid }, "idle"] } } }
            }
        }
        request dst=lab.Plant endpoint=left.valve method=Name {
            deny (re.match { text : message.name, pattern : "x{3,} | !(.*[a-e].*)" })
            choice (re.select { text : message.name }) {
                "(r|.*a).* & ...*" : grant ()
                "!(a|[b-e]+)" : deny ()
                _ : assert (message.pair.[0] < 5)
            }
        }
        request component=lab.Pump interface=lab.IValve method=Turn {
            assert (bool.all [message.job.handle < 5, pred.empty (message.steps) || true])
            assert (math.sum [message.job.rights, 1, src_sid] <= 0xFFFF)
        }
        response src=lab.Plant component=lab.Pump method=Turn { deny (message.rc & 0x80 != 0) }
        error src=lab.Plant endpoint=left.valve method=Turn { assert (math.neg (message.code) > 0) }
        security src=lab.Panel method=Reset {
            set_level (message.level)
            job.fini { sid : message.job.handle }
        }
    """,
}
FILES["security.psl"] = FILES["security.psl"].replace(
    "message.rc & 0x80 != 0", "(message.rc & 0x80) != 0"
)


def test_a_written_policy_means_the_same_to_both_engines(library: Path, tmp_path: Path) -> None:
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    tree = load_policy(tmp_path / "security.psl", [tmp_path]).tree
    vm = Vm(compile_policy(tree, max_sids=POOL), library)
    rng = Random(1)
    source = Events(rng, tree)
    case = Case(tree, [source.event() for _ in range(8000)])
    assert not list(differences(case, vm))
    sites = {site for event in case.events for site, _ in vm.judge(event).calls}
    missed = [site.text for site in tree.sites if site.id not in sites and site.method != "choice"]
    assert not missed, "the events reach every rule"


SHIPPED = sorted((ROOT / "images").glob("*/security.psl"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_policies(library: Path, path: Path) -> None:
    tree = load_policy(path, [path.parent, path.parent / "interfaces"]).tree
    source = Events(Random(1), tree)
    case = Case(tree, [source.event() for _ in range(300)])
    assert not list(differences(case, Vm(compile_policy(tree, max_sids=POOL), library)))


# ---- size ----------------------------------------------------------------------


def test_256_classes_and_1000_methods_stay_small(library: Path) -> None:
    methods = [method(f"M{i}", i, [("n", U32)]) for i in range(1000)]
    large, small = interface("t.Large", *methods), interface("t.Small", *methods[:4])
    made = classes(
        *((f"t.C{i}", [Endpoint("e", 0, small if i else large, None)], []) for i in range(256))
    )
    policy = Builder(made)
    for i, one in enumerate(methods):
        below = apply("pred.lt", place(one.request, "n"), unsigned(i))
        policy.bind(
            Kind.REQUEST, policy.rule("assert", below), src=1 + i % 255, dst=0, method=one.name
        )
    data = compile_policy(policy.tree())
    assert len(data) < 1 << 20
    vm = Vm(data, library)
    message = (0).to_bytes(4, "little") + (999).to_bytes(4, "little")
    asked = Event(Kind.REQUEST, 1 + 999 % 255, 0, 1, 2, message + bytes(8))
    assert vm.judge(asked).granted
    assert vm.judge(Event(Kind.REQUEST, 1, 0, 1, 2, asked.message)).reason is Reason.DEFAULT


def test_equal_rows_and_equal_programs_are_shared(library: Path) -> None:
    same = interface("t.I", *(method(f"M{i}", i, []) for i in range(50)))
    made = classes(*((f"t.C{i}", [Endpoint("e", 0, same, None)], []) for i in range(20)))
    policy = Builder(made)
    policy.bind(Kind.REQUEST, policy.rule("assert", apply("pred.eq", DST, unsigned(3))))
    image = read(compile_policy(policy.tree()))
    assert (len(image.operations), len(image.rows), len(image.entries)) == (1000, 2, 2)


def chain(operation: str, count: int, left: bool) -> Expression:
    """A tree of operators that is as deep as it is long, to one side."""
    value: Expression = DST
    for _ in range(count):
        operands = (value, unsigned(1)) if left else (unsigned(1), value)
        value = apply(operation, *operands, type=UINT32)
    return value


@pytest.mark.parametrize("left", [True, False])
def test_long_chains_need_few_registers(library: Path, left: bool) -> None:
    policy = Builder(classes(("t.A", [], [])))
    is_it = apply("pred.eq", chain("math.add", 298, left), unsigned(300))
    policy.bind(Kind.EXECUTE, policy.rule("assert", is_it))
    vm = Vm(compile_policy(policy.tree()), library)
    assert vm.image.entries[-1].registers <= 3
    assert vm.judge(Event(Kind.EXECUTE, 0, 0, 1, 2)).granted
    assert not vm.judge(Event(Kind.EXECUTE, 0, 0, 1, 3)).granted


def test_too_deep_an_expression_is_an_error_in_words() -> None:
    value: Expression = apply("pred.eq", DST, unsigned(1))
    for _ in range(250):
        items = (unsigned(0), apply("math.sum", ListValue((DST, value), ListType(UINT32))))
        value = apply("math.sum", ListValue(items, ListType(UINT32)), type=UINT32)
    policy = Builder(classes(("t.A", [], [])))
    policy.bind(Kind.EXECUTE, policy.rule("assert", value))
    with pytest.raises(DescriptionError, match="needs more than 128 registers") as caught:
        compile_policy(policy.tree())
    (finding,) = caught.value.findings
    assert (finding.rule, finding.file, finding.line) == ("PSL-040", "test.psl", 1)


def test_limits_are_errors_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Builder(classes(("t.A", [], []), ("t.B", [], [])))
    policy.bind(Kind.EXECUTE, policy.grant(), policy.grant(), src=0)
    policy.bind(Kind.EXECUTE, policy.grant(), src=1)
    monkeypatch.setattr(compiler.binary, "MAX_CALLS", 1)
    with pytest.raises(KssError, match="2 rules"):
        compile_policy(policy.tree())
    monkeypatch.setattr(decisions, "MAX_ENTRIES", 2)
    with pytest.raises(KssError, match="combinations of rules"):
        compile_policy(policy.tree())
