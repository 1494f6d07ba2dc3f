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
