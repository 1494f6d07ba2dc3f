"""How many SIDs policy objects hold contexts for: a bound that one can set, and that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kss.cli import options
from kss.compiler import MAX_POOL, MAX_SIDS

from tests.kss.conftest import PRELUDE
from tests.kss.test_cli import run

OBJECTS = """
use nk.hashmap._ use nk.staticmap._ use nk.mic._
policy object life : Flow { type State = "on" config = { states : ["on"], initial : "on", transitions : {} } }
policy object seen : HashSet { type Entry = UInt8 config = { set_size : 1, pool_size : 2 } }
policy object quota : StaticMap { type Value = UInt8 config = { keys : { "n" : 7 }, pool_size : 2 } }
policy object level : Mic { config = ["LOW", "HIGH"] }
"""
INITS = {
    "life": "life.init { sid : dst_sid }",
    "seen": "seen.init { sid : dst_sid }",
    "quota": "quota.init { sid : dst_sid }",
    "level": 'level.execute { image : (), target : dst_sid, level : "HIGH", levelR : "LOW" }',
}
START = {"event": "execute", "src": "Einit", "dst": "bank.Teller"}


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KSS_LIBRARY", str(library))
    (tmp_path / "events.jsonl").write_text(f"{json.dumps(START)}\n" * 3)
    return tmp_path / "security.psl"


def write(path: Path, rule: str, tests: str = "") -> None:
    start = "execute dst=kl.core.Core { grant () }\nexecute dst=Einit { grant () }\n"
    path.write_text(PRELUDE + OBJECTS + f"{start}execute dst=bank.Teller {{ {rule} }}\n" + tests)


LIB = Path(__file__).parent / "lib"


@pytest.mark.parametrize("engine", ["vm", "reference"])
def test_eval_takes_the_bound(
    engine: str, policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(policy, INITS["life"])
    for bound, granted in ((2, 2), (3, 3)):
        where = ("-I", LIB, "--events", "events.jsonl", "--engine", engine)
        assert run(monkeypatch, "eval", policy, *where, "--max-sids", bound) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["verdict"] for row in rows].count("granted") == granted


@pytest.mark.parametrize("model", INITS)
def test_explain_says_that_there_is_no_room(
    model: str, policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(policy, INITS[model])
    where = ("-I", LIB, "--events", "events.jsonl", "--max-sids", 2)
    assert run(monkeypatch, "explain", policy, *where) == 0
    bound = "its pool_size" if model in ("seen", "quota") else "--max-sids"
    sentence = capsys.readouterr().out.splitlines()[0]
    assert sentence.endswith(f"{INITS[model]}: no room: 2 SIDs are kept ({bound})")
    assert run(monkeypatch, "explain", policy, *where, "--json") == 0
    (rule,) = json.loads(capsys.readouterr().out)["bindings"][-1]["rules"]
    assert rule["why"] == f"no room: 2 SIDs are kept ({bound})"


def test_another_denial_does_not_speak_of_room(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All contexts are taken, but this SID has one already."""
    write(policy, f"{INITS['life']} {INITS['life']}")
    where = ("-I", LIB, "--events", "events.jsonl", "--max-sids", 1)
    assert run(monkeypatch, "explain", policy, *where) == 0
    assert "no room" not in capsys.readouterr().out


def test_tests_coverage_and_mutation_take_the_bound(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = "execute src=kl.core.Core, dst=bank.Teller " * 3
    write(policy, INITS["life"], f"assert {{ sequence {{ {cases} }} }}\n")
    assert run(monkeypatch, "test", policy, "-I", LIB, "--max-sids", 2) == 1
    assert "no room: 2 SIDs are kept (--max-sids)" in capsys.readouterr().out
    assert run(monkeypatch, "test", policy, "-I", LIB, "--max-sids", 3) == 0
    assert run(monkeypatch, "mutate", policy, "-I", LIB, "--max-sids", 2) == 2
    assert "fail already" in capsys.readouterr().err
    for bound, denied in ((2, True), (3, False)):
        assert run(monkeypatch, "coverage", policy, "-I", LIB, "--max-sids", bound) == 0
        assert ("never denied" in capsys.readouterr().out) is not denied


def test_the_option_is_what_the_compiler_takes() -> None:
    assert (options.MAX_SIDS, options.MAX_POOL) == (MAX_SIDS, MAX_POOL)
