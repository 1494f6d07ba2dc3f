"""`kss verify`: a compiled policy as a file; and compiled policies where a text is wanted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from kss.binary import VERSION, seal
from kss.compiler import class_hash
from kss.vm import Vm

from tests.kss.conftest import LIB, PRELUDE
from tests.kss.test_cli import run

FLOW = 'states : ["a"], initial : "a", transitions : {}'
POLICY = (
    PRELUDE
    + f"""policy object life : Flow {{ type State = "a" config = {{ {FLOW} }} }}
execute {{ grant () }}
request src=bank.Teller {{ life.allow {{ sid : src_sid, states : ["a"] }} }}
"""
)


@pytest.fixture(autouse=True)
def _library(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSS_LIBRARY", str(library))


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Path:
    (tmp_path / "security.psl").write_text(POLICY)
    output = tmp_path / "policy.bin"
    assert run(monkeypatch, "compile", tmp_path / "security.psl", "-I", LIB, "-o", output) == 0
    capsys.readouterr()
    return output


def verify(monkeypatch: Any, capsys: Any, path: Path) -> tuple[int, Any]:
    code = run(monkeypatch, "verify", path, "--json")
    return code, json.loads(capsys.readouterr().out)


def test_what_is_in_it(compiled: Path, monkeypatch: Any, capsys: Any) -> None:
    code, told = verify(monkeypatch, capsys, compiled)
    data = compiled.read_bytes()
    assert code == 0
    assert (told["ok"], told["reason"], told["bytes"]) == (True, None, len(data))
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["state_bytes"] == len(Vm(data).snapshot())
    assert told["format"] == int.from_bytes(data[4:8], "little")
    assert told["checksum"] == data[-1:-5:-1].hex()
    assert {"name": "life", "model": "Flow"} in told["objects"]
    for number, each in enumerate(told["classes"]):
        assert int(each["hash"], 16) == class_hash(each["name"])
        assert Vm(data).find_class(int(each["hash"], 16)) == number
    assert told["names"] == str(compiled.with_suffix(".json"))
    assert run(monkeypatch, "verify", compiled) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{compiled}: sound, format ")
    assert "bank.Teller" in out and out.endswith(f"names: {told['names']}\n")


def test_names_of_another_policy_are_none(compiled: Path, monkeypatch: Any, capsys: Any) -> None:
    names = compiled.with_suffix(".json")
    for text in ("{}", "[", json.dumps({"sha256": "0", "rules": []})):
        names.write_text(text)
        assert verify(monkeypatch, capsys, compiled)[1]["names"] is None
        assert run(monkeypatch, "verify", compiled) == 0
        assert f"no names of rules: {names} is not of this policy" in capsys.readouterr().out
    names.unlink()
    assert run(monkeypatch, "verify", compiled) == 0
    assert f"there is no {names}, which kss compile writes" in capsys.readouterr().out


def change(data: bytes, at: int, value: int, sealed: bool) -> bytes:
    changed = data[:at] + bytes([value]) + data[at + 1 :]
    return seal(changed) if sealed else changed


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "this is no compiled policy"),
        (lambda data: b"use nk.base._ and much more text than a header has\n", "does not begin"),
        (lambda data: data[:-9], "it was cut short or joined"),
        (lambda data: change(data, 500, data[500] ^ 1, False), "its checksum is wrong"),
        (lambda data: change(data, 4, 99, True), "it has format 99, this kss format "),
        (lambda data: change(data, 43, 0x7F, True), "does not verify: bad table at offset 0x"),
    ],
)
def test_one_that_is_refused(
    compiled: Path, monkeypatch: Any, capsys: Any, damage: Any, reason: str
) -> None:
    compiled.write_bytes(damage(compiled.read_bytes()))
    code, told = verify(monkeypatch, capsys, compiled)
    assert (code, told["ok"]) == (1, False)
    assert reason in told["reason"]
    assert run(monkeypatch, "verify", compiled) == 1
    assert capsys.readouterr().out == f"{compiled}: refused: {told['reason']}\n"


def test_one_that_is_not_there(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "verify", tmp_path / "no.bin") == 2
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "query", "compile"])
def test_commands_that_take_a_text_say_what_it_is(
    compiled: Path, monkeypatch: Any, capsys: Any, command: str
) -> None:
    output = ["-o", compiled] if command == "compile" else []
    assert run(monkeypatch, command, compiled, *output) != 0
    shown = capsys.readouterr()
    told = shown.out + shown.err
    assert f"this is a compiled policy (format {VERSION})" in told and "kss verify" in told
