"""Policy tests: what is run, on which engine, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from kss.api import Policy
from kss.events import Decision, Reason
from kss.pal import report, run
from kss.pal.run import TestResult
from kss.reference import Reference

from tests.kss.conftest import LIB, PRELUDE, Load
from tests.kss.test_cli import run as kss

POLICY = """\
policy object life : Flow { type State = "new" | "used"
  config = { states : ["new", "used"], initial : "new", transitions : { "new" : ["used"] } } }
execute { grant () }
execute dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {
  assert (message.amount < 10)
  life.enter { sid : src_sid, state : "used" }
}
"""
SETUP = """\
setup {
  core <- execute dst=kl.core.Core
  init <- execute src=core, dst=Einit
  app  <- execute src=init dst=bank.Teller
  vault <- execute src = init, dst = bank.Vault
}
"""


def results(load: Load, tests: str, policy: str = POLICY, engine: str = "") -> list[TestResult]:
    loaded = load(policy + tests)
    names = [engine] if engine else ["reference", "vm"]
    return list(run.run(loaded, run.engines(loaded, names)))


def one(load: Load, cases: str, policy: str = POLICY) -> list[tuple[str, bool]]:
    """Actual decision and success of the cases of one test, after setup."""
    tests = f"assert {{ {SETUP} sequence {{ {cases} }} }}"
    (result,) = results(load, tests, policy)
    assert all(case.passed for case in result.cases[:4])
    return [(case.actual, case.passed) for case in result.cases[4:]]


@pytest.fixture(autouse=True)
def _library(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSS_LIBRARY", str(library))


# ---- what is run


def test_expectations(load: Load) -> None:
    opening = "app ~> vault : door.Open { amount : 1 }"
    closing = "app ~> vault : door.Close {}"
    assert one(load, f"{opening} {opening}") == [("grant", True), ("deny", False)]
    assert one(load, f"deny {opening} deny {opening}") == [("grant", False), ("deny", True)]
    assert one(load, f"grant {opening} any {closing} any {opening}")[1:] == [("deny", True)] * 2


def test_each_test_starts_from_the_same_state_and_ends_with_finally(load: Load) -> None:
    opening = "app ~> vault : door.Open {}"
    tests = f"""assert "set" {{ {SETUP}
      sequence "a" {{ {opening} }} sequence "b" {{ {opening} }}
      finally {{ deny {opening} }} }}
      assert "other" {{ {SETUP} sequence {{ {opening} }} }}"""
    found = results(load, tests)
    assert [(r.set.title, r.test.title, len(r.cases), r.passed) for r in found] == [
        ("set", "a", 6, True), ("set", "b", 6, True), ("other", "", 5, True),
    ]  # fmt: skip


def test_long_and_short_forms_are_one(load: Load) -> None:
    long = "request src=app, dst=vault endpoint=door method=Open { amount : 9 }"
    assert one(load, long) == [("grant", True)]
    assert one(load, "app~>vault:door.Open{amount:9}") == [("grant", True)]
    assert one(load, "deny bank.Teller ~> bank.Vault : front.lock.bolt.Turn") == [("deny", True)]


def test_what_is_left_out_is_zero_or_empty(load: Load) -> None:
    policy = (
        POLICY
        + """
    request dst=bank.Vault, endpoint=door, method=Open {
      assert (message.delta == 0 && message.key.handle == 0 && message.trio.[2] == 0)
      assert (pred.empty (message.items) && pred.empty (message.pin) && pred.empty (message.raw))
      assert (message.either.number == 0)
    }"""
    )
    assert one(load, "app ~> vault : door.Open", policy) == [("grant", True)]


def test_values_of_every_type(load: Load) -> None:
    policy = """
    execute { grant () }
    request dst=bank.Vault, endpoint=door, method=Open {
      assert (size (message.pin) == 2 && message.delta == -5 && message.wide == 0xFFFFFFFFFFFFFFFF)
      assert (message.items.[1].value == -1 && message.items.[0].id == 7)
      assert (message.key.handle == src_sid && message.key.rights == 3)
      assert (message.raw.[0] == 255 && message.trio.[1] == 2)
      assert (size (message.either.text) == 2)
    }"""
    message = """{ pin : "ab", delta : -5, wide : 0xFFFFFFFFFFFFFFFF
      , items : [ { id : 7 }, { value : -1, }, ], key : { handle : app, rights : 3 }
      , raw : [255, 0], trio : [1, 2], either : { text : "\\"\\\\" } }"""
    assert one(load, f"app ~> vault : door.Open {message}", policy) == [("grant", True)]
    text = message.replace("[255, 0]", '"\\n"')
    assert one(load, f"deny app ~> vault : door.Open {text}", policy) == [("deny", True)]


def test_every_kind_of_event(load: Load) -> None:
    policy = """
    execute { grant () }
    response src=bank.Vault, dst=bank.Teller, endpoint=door, method=Open { assert (message.rc == 1) }
    error src=bank.Vault, endpoint=door, method=Open { assert (message.why == 2) }
    security src=bank.Vault, method=front.Clear { assert (message.h.handle == src_sid) }
    """
    cases = """
    response src=vault dst=app endpoint=door method=Open { rc : 1 }
    deny response src=vault dst=app endpoint=door method=Open { rc : 2 }
    error src=vault, dst=app, endpoint=door, method=Open { why : 2 }
    security src=vault method=front.Clear { h : { handle : vault } }
    deny security src=vault method=Clear { h : { handle : vault } }
    """
    assert all(passed for _, passed in one(load, cases, policy))


def test_kernel_and_classes_in_place_of_variables(load: Load) -> None:
    """Without src the kernel starts a process; a class stands for its only process."""
    policy = """execute src=kl.core.Core { assert (src_sid == 1) }
    execute src=kl.core.Core, dst=kl.core.Core { assert (dst_sid == 1) }
    request src=bank.Teller, dst=bank.Vault { grant () }"""
    tests = """assert { sequence {
      bank.Teller ~> bank.Vault : door.Close
      execute dst=kl.core.Core
      execute dst=bank.Vault
      a <- execute src=kl.core.Core dst=bank.Teller
      bank.Teller ~> bank.Vault : door.Close
      b <- execute dst=bank.Teller
      any bank.Teller ~> bank.Vault : door.Close
      b ~> bank.Vault : door.Close
    } }"""
    (result,) = results(load, tests, policy)
    assert [case.passed for case in result.cases] == [False, *[True] * 5, False, True]
    first, last = (case.why[0] for case in result.cases if not case.passed)
    assert first == "it cannot be carried out: no process of class bank.Teller is running"
    assert "2 processes of class bank.Teller are running; name the one meant" in last


def test_a_denied_start_binds_nothing(load: Load) -> None:
    policy = "execute dst=bank.Vault { grant () }\nrequest { grant () }"
    tests = """assert { sequence {
      vault <- execute dst=bank.Vault
      deny app <- execute dst=bank.Teller
      any app ~> vault : door.Close
      vault <- execute dst=bank.Vault
    } }"""
    tests = tests.replace("deny app <- execute", "app <- deny execute")
    (result,) = results(load, tests, policy)
    assert [(c.actual, c.passed) for c in result.cases] == [
        ("grant", True), ("deny", True), ("", False), ("grant", True),
    ]  # fmt: skip
    assert "app is not running: its start was denied" in result.cases[2].why[0]


# ---- why a case fails


def why(load: Load, case: str, policy: str = POLICY) -> tuple[str, ...]:
    (result,) = results(load, f"assert {{ {SETUP} sequence {{ {case} }} }}", policy)
    assert not result.cases[-1].passed
    return tuple(line.split("/")[-1] for line in result.cases[-1].why)


def test_reasons(load: Load) -> None:
    assert why(load, "app ~> vault : door.Open { amount : 10 }") == (
        "security.psl:12: assert (message.amount < 10)",
    )
    assert why(load, "deny app ~> vault : door.Open") == (
        "security.psl:12: assert (message.amount < 10)",
        'security.psl:13: life.enter { sid : src_sid, state : "used" }',
    )
    assert why(load, "app ~> vault : door.Close") == ("security.psl:11, which wants method=Open",)
    assert why(load, 'app ~> vault : door.Open { pin : "0123456789" }') == (
        "denied: the message does not conform: pin: a text of 10 bytes, at most 8",
    )
    element = "assert (message.items.[0].id == 1)"
    policy = POLICY + f"request endpoint=door, method=Open, dst=bank.Vault {{ {element} }}"
    assert why(load, "app ~> vault : door.Open", policy)[-1].endswith("(it could not be evaluated)")


class Wrong(Reference):
    """Grants what it must not, as a miscompiled policy would."""

    def judge(self, event: Any) -> Decision:
        decision = super().judge(event)
        granted = decision.granted or decision.reason is Reason.DEFAULT
        return Decision(granted, decision.reason, decision.calls)


class Forgetful(Reference):
    def state(self) -> dict[str, dict[int, Any]]:
        return {}


@pytest.mark.parametrize(("other", "what"), [(Wrong, "decisions"), (Forgetful, "states")])
def test_engines_that_differ_fail_the_test(other: type[Reference], what: str, load: Load) -> None:
    policy: Policy = load(
        POLICY + f"assert {{ {SETUP} sequence {{ any app ~> vault : door.Close }} }}"
    )
    engines = lambda: {"vm": other(policy.tree), "reference": Reference(policy.tree)}  # noqa: E731
    (result,) = run.run(policy, engines)
    failed = [case for case in result.cases if not case.passed]
    assert failed and failed[-1].why[0] == f"the engines' {what} differ: this is a defect of KSS"


@pytest.mark.parametrize("engine", ["vm", "reference"])
def test_one_engine_alone(engine: str, load: Load) -> None:
    tests = f"assert {{ {SETUP} sequence {{ deny app ~> vault : door.Close }} }}"
    (result,) = results(load, tests, engine=engine)
    assert result.passed


# ---- the command


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    path = tmp_path / "security.psl"
    path.write_text(
        PRELUDE + POLICY + f'assert "vault" {{ {SETUP} sequence "<opens>" {{\n'
        '"once" app ~> vault : door.Open { amount : 1 }\n'
        '"twice" app ~> vault : door.Open { amount : 1 }\n'
        "} sequence { deny app ~> vault : door.Close } }\n"
    )
    return path


def test_text(failing: Path, monkeypatch: Any, capsys: Any) -> None:
    assert kss(monkeypatch, "test", failing, "-I", LIB) == 1
    assert capsys.readouterr().out == (
        "FAIL vault / <opens> (6 cases)\n"
        f'     {failing}:23: "twice": expected grant, got deny\n'
        "       app ~> vault : door.Open { amount : 1 }\n"
        f'       denied by {failing}:13: life.enter {{ sid : src_sid, state : "used" }}\n'
        "ok   vault / line 24 (5 cases)\n"
        "1 of 2 tests passed, 11 cases\n"
    )


def test_json_and_junit(failing: Path, monkeypatch: Any, capsys: Any) -> None:
    junit = failing.parent / "results.xml"
    assert kss(monkeypatch, "test", failing, "-I", LIB, "--json", "--junit", junit) == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["passed"], shown["failed"], len(shown["cases"])) == (10, 1, 11)
    (failed,) = [case for case in shown["cases"] if not case["passed"]]
    assert failed == {
        "set": "vault",
        "test": "<opens>",
        "title": "twice",
        "event": "app ~> vault : door.Open { amount : 1 }",
        "file": str(failing),
        "line": 23,
        "expected": "grant",
        "actual": "deny",
        "passed": False,
        "why": [f'denied by {failing}:13: life.enter {{ sid : src_sid, state : "used" }}'],
    }
    root = ElementTree.parse(junit).getroot()
    assert root.attrib == {"tests": "2", "failures": "1", "errors": "0"}
    names = [(test.get("name"), len(test)) for test in root.iter("testcase")]
    assert names == [("<opens>", 1), ("line 24", 0)]
    message = root.find(".//failure").get("message")  # type: ignore[union-attr]
    assert message == f'{failing}:23: "twice": expected grant, got deny'


def test_passing(failing: Path, monkeypatch: Any, capsys: Any) -> None:
    failing.write_text(failing.read_text().replace('"twice"', 'deny "twice"'))
    arguments = ["test", failing, failing, "-I", LIB, "--engine", "reference"]
    assert kss(monkeypatch, *arguments) == 0
    assert capsys.readouterr().out.endswith("4 of 4 tests passed, 22 cases\n")


def test_a_file_of_its_own_for_the_tests(failing: Path, monkeypatch: Any, capsys: Any) -> None:
    policy, tests = failing.read_text().split('assert "vault"', 1)
    failing.write_text(policy)
    apart = failing.parent / "tests.psl"
    apart.write_text(f'use security._\nassert "apart" {tests}')
    assert kss(monkeypatch, "test", apart, "-I", LIB) == 1
    shown = capsys.readouterr().out
    assert f"{failing}:13: life.enter" in shown and "FAIL apart / <opens>" in shown


def test_bad_input(failing: Path, monkeypatch: Any, capsys: Any) -> None:
    assert kss(monkeypatch, "test", failing.parent / "none.psl") == 2
    failing.write_text(PRELUDE + POLICY)
    assert kss(monkeypatch, "test", failing, "-I", LIB) == 2
    assert "has no tests" in capsys.readouterr().err
    failing.write_text(PRELUDE + POLICY + "assert { sequence { ap ~> vault : x } }")
    assert kss(monkeypatch, "test", failing, "-I", LIB) == 2
    assert "PAL-002" in capsys.readouterr().err


def test_stubs_do_not_pass(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """What is sent to a class of which nothing is known cannot be carried out."""
    path = tmp_path / "security.psl"
    path.write_text(
        "use nk.base._\nuse EDL kl.core.Core\nuse EDL acme.Vfs\nexecute { grant () }\n"
        "request { grant () }\nassert { sequence { vfs <- execute dst=acme.Vfs\n"
        "any kl.core.Core ~> vfs : files.Open { name : 1 } } }\n"
    )
    assert kss(monkeypatch, "test", path, "--stub") == 1
    assert "it cannot be carried out: acme.Vfs has no method Open" in capsys.readouterr().out


def test_titles_of_what_has_none(load: Load) -> None:
    (result,) = results(load, f"assert {{ {SETUP} sequence {{ deny app ~> vault : door.Close }} }}")
    assert report.set_title(result).endswith("security.psl:15")
    assert report.test_title(result) == "line 21"


def test_a_test_without_cases_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has shown nothing; `setup` and `finally` are cases of it."""
    path, junit = tmp_path / "security.psl", tmp_path / "results.xml"
    full = f'assert "other" {{ {SETUP} sequence "started" {{ }} }}\n'
    path.write_text(PRELUDE + POLICY + full + 'assert "vault" { sequence "empty" { } }\n')
    assert kss(monkeypatch, "test", path, "-I", LIB, "--junit", junit) == 1
    assert capsys.readouterr().out == (
        "ok   other / started (4 cases)\n"
        "empty vault / empty (0 cases)\n"
        "1 of 2 tests passed, 4 cases; 1 without a case\n"
    )
    suites = ElementTree.parse(junit).getroot()
    failure = suites.find(".//testcase[@name='empty']/failure")
    assert failure is not None and failure.get("message") == "the test has no case"
    assert suites.get("failures") == "1"
    assert kss(monkeypatch, "test", path, "-I", LIB, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["failed"]) == (4, 0)
    assert [(row["set"], row["test"]) for row in document["empty"]] == [("vault", "empty")]
    assert kss(monkeypatch, "mutate", path, "-I", LIB) == 2
    assert "fail already" in capsys.readouterr().err
