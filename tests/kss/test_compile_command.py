"""`kss compile`: the bytes of a policy, and what it says of stubs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from kss.api import load_policy
from kss.compiler import compile_policy

from tests.kss.conftest import LIB, PRELUDE
from tests.kss.test_cli import run

POLICY = PRELUDE + "execute { grant () }\nrequest src=bank.Teller { grant () }\n"


@pytest.fixture(autouse=True)
def _library(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSS_LIBRARY", str(library))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "security.psl"
    path.write_text(POLICY)
    return path


def test_bytes(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    output = policy.parent / "policy.bin"
    command = ["compile", policy, "-I", LIB, "-o", output, "--max-sids", 7]
    assert run(monkeypatch, *command, "--json") == 0
    data = output.read_bytes()
    assert data == compile_policy(load_policy(policy, [LIB]).tree, max_sids=7)
    shown = json.loads(capsys.readouterr().out)
    assert shown["sha256"] == hashlib.sha256(data).hexdigest()
    assert (shown["policy"], shown["bytes"]) == (str(output), len(data))
    assert run(monkeypatch, *command) == 0
    assert capsys.readouterr().out.startswith(f"{output}: {len(data)} bytes, ")
    assert output.read_bytes() == data


def test_names_are_beside_it(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    output = policy.parent / "other.bin"
    command = ["compile", policy, "-I", LIB, "--json", "-o"]
    assert run(monkeypatch, *command, output) == 0
    told = json.loads(capsys.readouterr().out)
    names = policy.parent / "other.json"
    assert told["names"] == str(names)
    known = json.loads(names.read_text())
    assert known["sha256"] == told["sha256"]
    rule = {"file": "security.psl", "line": 7, "column": 11, "object": "base", "method": "grant"}
    assert known["rules"][0] == {**rule, "text": "grant ()"}
    assert [each["name"] for each in known["classes"]][-2:] == ["bank.Teller", "bank.Vault"]
    assert run(monkeypatch, *command, output) == 0, "they are written again"
    capsys.readouterr()
    assert run(monkeypatch, *command, "/dev/null") == 0
    assert json.loads(capsys.readouterr().out)["names"] is None


def test_names_replace_no_other_file(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    other = policy.parent / "package.json"
    other.write_text('{"name": "mine"}')
    command = ["compile", policy, "-I", LIB, "-o"]
    assert run(monkeypatch, *command, policy.parent / "package.bin") == 2
    assert f"its names would go to {other}, which is another file" in capsys.readouterr().err
    assert other.read_text() == '{"name": "mine"}'
    assert run(monkeypatch, *command, other) == 2
    assert "a policy ends in .bin" in capsys.readouterr().err


def test_stubs_are_told(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    policy.write_text(
        POLICY + "use EDL acme.Vfs\nrequest dst=acme.Vfs { assert (message.x == 1) }\n"
    )
    command = ["compile", policy, "-I", LIB, "-o", policy.parent / "policy.bin"]
    assert run(monkeypatch, *command) == 2
    assert "EDL-009" in capsys.readouterr().err
    assert run(monkeypatch, *command, "--stub") == 0
    told = capsys.readouterr().err
    assert "STUB-001" in told and "STUB-004" in told and "it denies" in told


def test_parts_that_lack_are_refused(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    policy.write_text(POLICY + "use parts.more._\n")
    output = policy.parent / "policy.bin"
    assert run(monkeypatch, "compile", policy, "-I", LIB, "-o", output, "--stub") == 2
    assert "PSL-009" in capsys.readouterr().err and not output.exists()


def test_bad_input(policy: Path, monkeypatch: Any, capsys: Any) -> None:
    where = policy.parent / "no" / "policy.bin"
    assert run(monkeypatch, "compile", policy, "-I", LIB, "-o", where) == 2
    assert "cannot write" in capsys.readouterr().err
    assert run(monkeypatch, "compile", policy, "-o", where, "--max-sids", 0) == 2
    assert run(monkeypatch, "compile", policy, "-o", where, "--max-sids", 1 << 21) == 2
    assert run(monkeypatch, "compile", policy, "-o", where, "--define", "x") == 2
    assert "--define takes NAME=TEXT" in capsys.readouterr().err
