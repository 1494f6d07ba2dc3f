"""What tests of a policy reach, and which wrong rules they notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kss.conftest import LIB, PRELUDE
from tests.kss.test_cli import run

POLICY = """\
execute { grant () }
request src=bank.Teller, dst=bank.Vault, endpoint=door {
  match method=Open {
    assert (message.amount < 10)
    deny (message.amount == 5)
  }
}
"""
TESTS = """\
assert "vault" {
  setup {
    app   <- execute dst=bank.Teller
    vault <- execute dst=bank.Vault
  }
  sequence "small sums" { grant app ~> vault : door.Open { amount : 9 } }
"""
LIMIT = """  sequence "no large ones" { deny app ~> vault : door.Open { amount : 10 } }\n"""
FIVE = """  sequence "not five" { deny app ~> vault : door.Open { amount : 5 } }\n"""


Kss = Callable[..., tuple[int, str]]


@pytest.fixture
def kss(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kss:
    """Runs a command: its exit code, and what it wrote on stdout and then on stderr."""

    def command(*arguments: object) -> tuple[int, str]:
        code = run(monkeypatch, *arguments)
        written = capsys.readouterr()
        return code, written.out + written.err

    return command


def write(folder: Path, *more: str, policy: str = POLICY) -> Path:
    path = folder / "security.psl"
    path.write_text(PRELUDE + policy + TESTS + "".join(more) + "}\n", encoding="utf-8")
    return path


def ask(kss: Kss, command: str, path: Path, *options: str, code: int) -> Any:
    got, output = kss(command, path, "-I", LIB, "--json", *options)
    assert got == code, output
    return json.loads(output)


def survivors(
    kss: Kss, folder: Path, *more: str, code: int, policy: str = POLICY
) -> set[tuple[str, str]]:
    found = ask(kss, "mutate", write(folder, *more, policy=policy), code=code)
    return {(each["rule"], each["change"]) for each in found["survivors"]}


def test_rules_that_no_test_would_miss_are_told(kss: Kss, tmp_path: Path) -> None:
    assert survivors(kss, tmp_path, code=1) == {
        ("assert (message.amount < 10)", "taken out"),
        ("deny (message.amount == 5)", "taken out"),
    }


def test_a_test_more_is_a_survivor_less(kss: Kss, tmp_path: Path) -> None:
    assert survivors(kss, tmp_path, LIMIT, code=1) == {("deny (message.amount == 5)", "taken out")}
    found = ask(kss, "mutate", write(tmp_path, LIMIT, FIVE), code=0)
    assert found == {"score": 1.0, "mutations": 6, "survivors": []}


def test_rules_in_choices_are_changed_too(kss: Kss, tmp_path: Path) -> None:
    policy = POLICY.replace(
        "    deny (message.amount == 5)\n",
        "    choice (message.amount) { 5 : deny () _ : grant () }\n",
    )
    assert ("deny ()", "turned round") in survivors(kss, tmp_path, LIMIT, code=1, policy=policy)
    assert survivors(kss, tmp_path, LIMIT, FIVE, code=1, policy=policy) == {
        # the assertion beside it grants as well
        ("grant ()", "taken out"),
    }


def test_a_stateful_rule_turned_round_changes_no_state(kss: Kss, tmp_path: Path) -> None:
    policy = """\
policy object life : Flow { type State = "new" | "used"
  config = { states : ["new", "used"], initial : "new", transitions : { "new" : ["used"] } } }
execute { grant () }
execute dst=bank.Teller { life.init { sid : dst_sid } }
request src=bank.Teller, dst=bank.Vault, endpoint=door, method=Open {
  life.enter { sid : src_sid, state : "used" }
}
"""
    twice = '  sequence "once" { app ~> vault : door.Open {} deny app ~> vault : door.Open {} }\n'
    assert survivors(kss, tmp_path, twice, code=0, policy=policy) == set()


def test_tests_that_fail_say_nothing_about_rules(kss: Kss, tmp_path: Path) -> None:
    wrong = '  sequence "wrong" { deny app ~> vault : door.Open { amount : 1 } }\n'
    code, output = kss("mutate", str(write(tmp_path, wrong)), "-I", str(LIB))
    assert code == 2
    assert "fail already" in output


def test_a_policy_without_tests_is_told(kss: Kss, tmp_path: Path) -> None:
    path = tmp_path / "security.psl"
    path.write_text(PRELUDE + POLICY, encoding="utf-8")
    code, output = kss("mutate", str(path), "-I", str(LIB))
    assert code == 2
    assert "has no tests" in output


# ---- coverage ---------------------------------------------------------------------------


def rows(document: Any) -> dict[str, Any]:
    return {f"{row['kind']} {row['text']}": row for row in document["rules"]}


def test_tests_reach_what_they_reach(kss: Kss, tmp_path: Path) -> None:
    policy = POLICY + "response { grant () }\n"
    found = ask(kss, "coverage", write(tmp_path, LIMIT, policy=policy), code=0)
    by_text = rows(found)
    assert by_text["binding response"]["hits"] == 0
    assert by_text["match section"]["hits"] == 2
    rule = by_text["rule assert (message.amount < 10)"]
    assert (rule["hits"], rule["granted"], rule["denied"]) == (2, 1, 1)
    missed = [row for row in found["rules"] if not row["hits"]]
    assert len(missed) == 2
    assert found["ratio"] == round(1 - 2 / len(found["rules"]), 4)


def test_branches_are_counted_one_by_one(kss: Kss, tmp_path: Path) -> None:
    policy = POLICY.replace(
        "    deny (message.amount == 5)\n",
        "    choice (message.amount) { 5 : deny () _ : grant () }\n",
    )
    by_text = rows(ask(kss, "coverage", write(tmp_path, policy=policy), code=0))
    assert by_text["branch 5"]["hits"] == 0
    assert by_text["branch _"]["hits"] == 1


def test_events_of_a_file_count_too(kss: Kss, tmp_path: Path) -> None:
    path = write(tmp_path)
    event = {"event": "request", "src": "bank.Teller", "dst": "bank.Vault"}
    event |= {"endpoint": "door", "method": "Open", "message": {"amount": 5}}
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(event) + "\n", encoding="utf-8")
    before = rows(ask(kss, "coverage", path, code=0))["rule deny (message.amount == 5)"]
    after = rows(ask(kss, "coverage", path, "--events", str(events), code=0))[
        "rule deny (message.amount == 5)"
    ]
    assert (before["denied"], after["denied"]) == (0, 1)


def test_a_line_that_is_no_event_is_told(kss: Kss, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("nonsense\n", encoding="utf-8")
    code, output = kss("coverage", str(write(tmp_path)), "-I", str(LIB), "--events", str(events))
    assert code == 2
    assert "line 1" in output


def test_what_was_never_seen_to_deny_is_told(kss: Kss, tmp_path: Path) -> None:
    _, output = kss("coverage", str(write(tmp_path)), "-I", str(LIB))
    assert "never denied (1 granted): assert (message.amount < 10)" in output
    assert "never denied (2 granted): grant" not in output


@pytest.mark.parametrize("command", ["mutate", "coverage"])
def test_the_commands_teach(kss: Kss, command: str) -> None:
    code, output = kss(command, "--help")
    assert code == 0
    assert f"kss {command} security.psl" in output
