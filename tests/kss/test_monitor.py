"""`kss.load`: a decision point for Python programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kss
import pytest
from kss import Monitor, Subject
from kss.api import load_policy
from kss.errors import DescriptionError, KssError, MessageError
from kss.monitor import EngineName
from kss.trail import Trail
from kss.trail.chain import read

from tests.kss.conftest import LIB, PRELUDE

POLICY = (
    PRELUDE
    + """
policy object life : Flow {
  type State = "idle" | "busy"
  config = { states : ["idle", "busy"], initial : "idle", transitions : { "idle" : ["busy"] } } }
audit profile p = { 0 : { base : { kss : ["denied"] }, life : { omit : [] } } }
audit default = p 0
execute { grant () }
execute dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {
  choice (life.query { sid : src_sid }) { "idle" : life.enter { sid : src_sid, state : "busy" } }
  assert (message.amount < 100)
}
"""
)
TELLER, VAULT = Subject("bank.Teller", 7, "window 3"), Subject("bank.Vault", 9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "security.psl"
    path.write_text(POLICY)
    return path


@pytest.fixture(params=["vm", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture
def records() -> list[Any]:
    return []


@pytest.fixture
def monitor(file: Path, engine: EngineName, records: list[Any]) -> Monitor:
    return kss.load(file, [LIB], engine=engine, audit=records.append)


def open_event(**message: Any) -> dict[str, Any]:
    parts = {"src": "t", "dst": "bank.Vault", "endpoint": "door", "method": "Open"}
    return {"event": "request", **parts, "message": message}


def test_events_by_names(monitor: Monitor) -> None:
    assert monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "t"})
    granted = monitor.decide(open_event(amount=5))
    assert granted and granted.reason == "rules" and granted.why == ""
    assert [(rule.object, rule.method, rule.result) for rule in granted.rules] == [
        ("life", "enter", "granted"),
        ("base", "assert", "granted"),
    ]
    assert list(monitor.state()["life"].values()) == ["busy"]


def test_denials_say_why(monitor: Monitor, file: Path, records: list[Any]) -> None:
    monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "t"})
    denied = monitor.decide(open_event(amount=100))
    assert not denied
    assert records[-1]["event"]["src_name"] == "t"
    assert denied.why == f"{file}:{denied.rules[1].line}: assert (message.amount < 100)"
    denied = monitor.decide(open_event() | {"method": "Close"})
    assert denied.reason == "default"
    assert denied.why.startswith("no rule matches; nearest is ")
    assert denied.why.endswith("which wants method=Open")
    malformed = monitor.judge("request", TELLER, VAULT, b"?")
    assert malformed.reason == "malformed"
    wrong = "the message does not conform to its interface"
    assert malformed.why == f"{wrong}: 1 bytes, a header has 8"


def test_a_failed_evaluation_is_told_of_the_rule_that_failed(
    file: Path, engine: EngineName
) -> None:
    """Not of one that denied before it."""
    wrong = "assert (message.amount > 7)\n  assert (message.amount - 6 > 0)"
    file.write_text(POLICY.replace("assert (message.amount < 100)", wrong))
    monitor = kss.load(file, [LIB], engine=engine)
    monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "t"})
    failed = monitor.decide(open_event(amount=5))
    assert [rule.result for rule in failed.rules] == ["granted", "denied", "failed"]
    place = f"{file}:{failed.rules[2].line}"
    assert failed.why == f"{place}: could not be evaluated: assert (message.amount - 6 > 0)"


def test_a_point_of_enforcement_asks_with_its_own_sids(
    monitor: Monitor, records: list[Any]
) -> None:
    core = Subject("kl.core.Core", 1)
    assert monitor.judge("execute", core, TELLER)
    data = monitor.encode("bank.Vault", "Open", {"amount": 5, "pin": "4711"}, endpoint="door")
    assert monitor.judge("request", TELLER, VAULT, data, trial=True)
    assert monitor.state() == {"life": {7: "idle"}}
    assert monitor.judge("request", TELLER, VAULT, data)
    assert monitor.state() == {"life": {7: "busy"}}
    call = monitor.decode("bank.Vault", data)
    assert (call.endpoint, call.method, call.values["pin"]) == ("door", "Open", "4711")
    again = Subject("bank.Teller", 8)
    assert monitor.judge("execute", core, again, released=7)
    assert monitor.state() == {"life": {8: "idle"}}
    monitor.release(8)
    assert monitor.state() == {"life": {}}
    assert not monitor.judge("execute", core, Subject("bank.Robber", 9))
    assert not monitor.judge("security", VAULT, message=bytes(8))


def test_audit_records_are_handed_over(monitor: Monitor, records: list[Any]) -> None:
    core = Subject("kl.core.Core", 1)
    monitor.judge("execute", core, TELLER)
    assert records == []
    data = monitor.encode("bank.Vault", "Open", {"amount": 500}, endpoint="door")
    monitor.judge("request", TELLER, VAULT, data, trial=True)
    [record] = records
    assert record["event"] == {
        "kind": "request",
        "src": "bank.Teller",
        "src_sid": 7,
        "src_name": "window 3",
        "dst": "bank.Vault",
        "dst_sid": 9,
        "interface": "bank.IDoor",
        "component": None,
        "endpoint": "door",
        "method": "Open",
    }
    assert [(call["method"], call["result"]) for call in record["calls"]] == [
        ("query", "idle"),
        ("assert", "denied"),
    ]
    assert (record["decision"], record["reason"], record["trial"]) == ("denied", "rules", True)


def test_records_go_to_a_trail(file: Path, tmp_path: Path) -> None:
    with Trail(tmp_path / "audit.jsonl") as trail:
        monitor = kss.load(file, [LIB], audit=trail.append)
        monitor.judge("request", VAULT, TELLER, b"")
    assert [record["record"] for record in read(trail.path)] == ["begin", "decision"]


def test_both_engines_record_the_same(file: Path) -> None:
    found = []
    for engine in ("vm", "reference"):
        records: list[Any] = []
        monitor = kss.load(file, [LIB], engine=engine, audit=records.append)  # type: ignore[arg-type]
        monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "t"})
        for amount in (1, 1, 500):
            monitor.decide(open_event(amount=amount))
        found.append(json.dumps(records))
    assert found[0] == found[1]
    assert found[0].count('"record"') == 3


def test_a_policy_is_replaced(monitor: Monitor, file: Path, tmp_path: Path) -> None:
    monitor.judge("execute", Subject("kl.core.Core", 1), TELLER)
    other = tmp_path / "other.psl"
    more = 'policy object more : Flow { type State = "a" config = { states : ["a"], initial : "a", '
    text = POLICY.replace("amount < 100", "amount < 50") + more + "transitions : {} } }\n"
    other.write_text(text)
    told = monitor.replace(load_policy(other, [LIB]))
    assert (told.kept, told.reset) == (("life",), ("more",))
    assert monitor.state() == {"life": {7: "idle"}, "more": {}}
    data = monitor.encode("bank.Vault", "Open", {"amount": 60}, endpoint="door")
    assert not monitor.judge("request", TELLER, VAULT, data)
    other.write_text(
        POLICY.replace('"idle" | "busy"', '"idle" | "busy" | "gone"').replace(
            '["idle", "busy"]', '["idle", "busy", "gone"]'
        )
    )
    told = monitor.replace(load_policy(other, [LIB]))
    assert (told.kept, told.reset) == ((), ("life",))
    assert monitor.state() == {"life": {}}


def test_processes_by_name_outlive_a_policy(monitor: Monitor, file: Path, tmp_path: Path) -> None:
    """Those whose SIDs the policy objects still know; no SID is given twice."""
    for name in ("t", "u"):
        monitor.decide({"event": "execute", "dst": "bank.Teller", "as": name})
    assert monitor.decide(open_event(amount=5))
    before = monitor.state()
    monitor.replace(file, [LIB])
    again = monitor.decide(open_event(amount=5))
    assert not again and [rule.method for rule in again.rules] == ["choice", "assert"]
    assert monitor.state() == before
    assert monitor.decide({"event": "execute", "dst": "bank.Teller", "as": "v"})
    assert len(monitor.state()["life"]) == 3
    small = tmp_path / "small.psl"
    small.write_text(
        "use nk.base._\nuse EDL kl.core.Core\nuse EDL bank.Vault\nexecute { grant () }"
    )
    monitor.replace(small, [LIB])
    with pytest.raises(KssError, match="no process or class t"):
        monitor.decide(open_event())


def test_a_policy_file_is_read_as_by_load(monitor: Monitor, tmp_path: Path) -> None:
    monitor.judge("execute", Subject("kl.core.Core", 1), TELLER)
    other = tmp_path / "other.psl"
    other.write_text(POLICY.replace("amount < 100", "amount < @MOST@"))
    before = monitor.policy
    with pytest.raises(DescriptionError, match="@MOST@"):
        monitor.replace(other, [LIB])
    assert monitor.policy is before and monitor.state() == {"life": {7: "idle"}}
    assert monitor.replace(str(other), [str(LIB)], defines={"MOST": "50"}).kept == ("life",)
    data = monitor.encode("bank.Vault", "Open", {"amount": 60}, endpoint="door")
    assert not monitor.judge("request", TELLER, VAULT, data)


def test_what_is_no_policy_is_refused_in_words(monitor: Monitor, file: Path) -> None:
    before: Any = monitor.policy
    with pytest.raises(TypeError, match=r"a policy is a kss.api.Policy .* not PolicyTree"):
        monitor.replace(before.tree)
    with pytest.raises(TypeError, match="include and defines are for a policy file"):
        monitor.replace(before, [LIB])
    wrong: Any = file
    with pytest.raises(TypeError, match=r"kss.load takes a file"):
        Monitor(wrong)
    assert monitor.policy is before


def test_a_bad_policy_leaves_the_old_one_in_force(
    monitor: Monitor, engine: EngineName, tmp_path: Path
) -> None:
    monitor.judge("execute", Subject("kl.core.Core", 1), TELLER)
    huge = "type Entry = UInt64 config = { set_size : 65000, pool_size : 65000 }"
    text = f"use nk.hashmap._\npolicy object huge : HashSet {{ {huge} }}\n"
    (tmp_path / "huge.psl").write_text(POLICY + text)
    policy = monitor.policy
    if engine == "vm":  # the reference takes what memory there is
        with pytest.raises(KssError, match="the policy's state takes"):
            monitor.replace(load_policy(tmp_path / "huge.psl", [LIB]))
        assert monitor.policy is policy
    assert monitor.state() == {"life": {7: "idle"}}


def test_the_level_is_kept_if_policies_begin_alike(
    file: Path, engine: EngineName, tmp_path: Path
) -> None:
    file.write_text(POLICY + "execute dst=bank.Vault { set_level (4) }\n")
    monitor = kss.load(file, [LIB], engine=engine)
    monitor.judge("execute", Subject("kl.core.Core", 1), VAULT)
    assert monitor.audit_level == 4
    monitor.replace(load_policy(file, [LIB]))
    assert monitor.audit_level == 4
    file.write_text(file.read_text().replace("default = p 0", "default = p 1"))
    monitor.replace(load_policy(file, [LIB]))
    assert monitor.audit_level == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"event": "execute", "dst": "bank.Teler"}, "did you mean 'bank.Teller'?"),
        (
            {"event": "execute", "dst": "bank.Teller", "as": "\ud800"},
            r"as: '\\ud800' is no name, it is not printable",
        ),
        ({"event": "call"}, "unknown event call"),
        (
            {"event": "execute", "dst": "bank.Teller", "as": "bank.Vault"},
            "as: bank.Vault is a class, name the process otherwise",
        ),
        ({}, "event is missing"),
        ({"event": None}, "event is missing"),
        (None, "an event is a mapping, as a line of kss eval is, not None"),
        (5, "an event is a mapping, as a line of kss eval is, not 5"),
        ([("event", "execute")], "an event is a mapping"),
        ({"event": "execute", 5: 6}, "keys are texts, not 5"),
        (open_event(small=10**5000) | {"src": "bank.Teller"}, "small: a value of int that is too"),
        (open_event() | {"src": "bank.Teller", "message": 5}, "message: expected an object, got 5"),
        (open_event(amount=-1) | {"src": "bank.Teller"}, "amount"),
        ({"event": "request", "src": "bank.Teller", "dst": "bank.Vault", "method": "Opn"}, "Opn"),
    ],
)
def test_what_is_no_event(monitor: Monitor, event: dict[str, Any], message: str) -> None:
    with pytest.raises(KssError, match=message.replace("?", r"\?")):
        monitor.decide(event)


def test_what_is_no_message(monitor: Monitor) -> None:
    with pytest.raises(MessageError):
        monitor.decode("bank.Vault", b"\xff" * 8)
    with pytest.raises(MessageError, match="small"):
        monitor.encode("bank.Vault", "Open", {"small": 256}, endpoint="door")
    with pytest.raises(KssError, match="unknown class bank"):
        monitor.encode("bank", "Open")
    with pytest.raises(KssError, match="carry no message"):
        monitor.encode("bank.Vault", "Open", kind="execute")
    with pytest.raises(KssError, match=r"unknown kind of event reqest; did you mean 'request'\?"):
        monitor.judge("reqest", TELLER, VAULT)  # type: ignore[arg-type]


def test_a_policy_with_findings(tmp_path: Path) -> None:
    (tmp_path / "bad.psl").write_text("use nk.base._\nrequest { grnt () }")
    with pytest.raises(DescriptionError, match=r"bad\.psl:2:11"):
        kss.load(tmp_path / "bad.psl")


def test_the_module_lists_what_it_has() -> None:
    assert {"load", "Monitor", "Subject", "Decision"} <= set(dir(kss)) <= {*kss.__all__}


def test_importing_kss_alone_is_quick() -> None:
    program = "import sys, kss; sys.exit('kss.monitor' in sys.modules or not callable(kss.load))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kss.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("sid", [0, -1, 1 << 32, (1 << 32) + 3, True, 3.0, "3", None])
@pytest.mark.parametrize("engine", ["vm", "reference"])
def test_what_is_no_sid_is_refused(engine: Any, sid: Any, file: Path) -> None:
    """One that is too wide must not stand for another process."""
    monitor = kss.load(file, [LIB], engine=engine)
    good, bad = Subject("bank.Teller", 7), Subject("bank.Vault", sid)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(KssError, match="is no SID"):
            monitor.judge("request", *pair)
    with pytest.raises(KssError, match="is no SID"):
        monitor.release(sid)
