"""`kss check --format sarif`, as code hosts read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kss.rules import RULES

from tests.kss.conftest import LIB, PRELUDE
from tests.kss.test_cli import run

WRONG = (
    PRELUDE + "request src=bank.Teler { grant () }\nrequest method=Open { grant () }\nuse EDL a.B\n"
)


def test_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "with space" / "security.psl"
    policy.parent.mkdir()
    policy.write_text(WRONG)
    options = ["-I", LIB, "--stub", "--format", "sarif"]
    assert run(monkeypatch, "check", "with space/security.psl", *options) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == "2.1.0" and document["$schema"].endswith("sarif-2.1.0.json")
    (single,) = document["runs"]
    results = {result["ruleId"]: result for result in single["results"]}
    assert {rule: result["level"] for rule, result in results.items() if rule != "PSL-082"} == {
        "STUB-001": "note", "PSL-012": "error", "PSL-019": "warning",
    }  # fmt: skip
    result = results["PSL-012"]
    assert result["message"]["text"] == "unknown class bank.Teler\ndid you mean 'bank.Teller'?"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "with%20space/security.psl"
    assert place["region"] == {
        "startLine": 7, "startColumn": 13, "snippet": {"text": "bank.Teler"},
    }  # fmt: skip
    rules = single["tool"]["driver"]["rules"]
    assert rules[result["ruleIndex"]] == {
        "id": "PSL-012", "shortDescription": {"text": RULES["PSL-012"]},
    }  # fmt: skip


def test_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "security.psl"
    policy.write_text(PRELUDE + "execute { grant () }\n")
    assert run(monkeypatch, "check", policy, "-I", LIB, "--format", "sarif") == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []
