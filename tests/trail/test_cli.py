"""kss audit, by what it prints and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kss import cli
from kss.trail import Trail, verify
from kss.trail.record import Call, decision


def run(monkeypatch: Any, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["kss", "audit", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code if isinstance(end.value.code, int) else 0


EVENT = {
    "kind": "request",
    "src": "bank.Teller",
    "src_sid": 4,
    "dst": "bank.Vault",
    "dst_sid": 5,
    "interface": "bank.IDoor",
    "component": None,
    "endpoint": "door",
    "method": "Open",
}
CALLS = [Call("life", "query", "idle", "a.psl", 7), Call("base", "assert", "denied", "a.psl", 9)]


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    with Trail(path) as opened:
        opened.append(
            decision(granted=False, reason="rules", event=EVENT, calls=CALLS, level=1, tick=8000)
        )
        opened.append(decision(granted=True, reason="rules", event=EVENT, calls=[], level=1))
        start = {"kind": "execute", "src": "Einit", "src_sid": 2, "dst": "a.B", "dst_sid": 3}
        opened.append(decision(granted=False, reason="default", event=start, calls=[], level=0))
        opened.append({"record": "lost", "lost": 12})
        opened.append({"record": "recovered", "torn": 3})
    return path


def test_verify(trail: Path, monkeypatch: Any, capsys: Any) -> None:
    head = verify(trail).head
    assert run(monkeypatch, "verify", trail, "--head", head) == 0
    assert capsys.readouterr().out == f"6 records, head {head}\n"
    assert run(monkeypatch, "verify", trail, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "records": 6,
        "head": head,
        "torn": 0,
        "line": None,
        "message": "",
    }
    trail.write_bytes(trail.read_bytes() + b'{"torn')
    assert run(monkeypatch, "verify", trail) == 0
    assert "6 bytes of a record follow that was not completed" in capsys.readouterr().out


def test_verify_finds(trail: Path, monkeypatch: Any, capsys: Any) -> None:
    trail.write_text(trail.read_text().replace('"src_sid":4', '"src_sid":6', 1))
    assert run(monkeypatch, "verify", trail) == 1
    assert f"{trail}:2: the record is not the one that was written" in capsys.readouterr().out
    assert run(monkeypatch, "verify", trail, "--json") == 1
    assert json.loads(capsys.readouterr().out)["line"] == 2
    assert run(monkeypatch, "show", trail) == 1
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 1
    assert shown.err.startswith(f"kss: error: {trail}:2: the record is not")


def test_an_empty_file(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch()
    assert run(monkeypatch, "verify", path) == 1
    assert f"{path}:1: no record is in it" in capsys.readouterr().out
    assert run(monkeypatch, "verify", path, "--json") == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert run(monkeypatch, "show", path) == 1
    assert "no record is in it" in capsys.readouterr().err


def test_a_cut_end_against_a_hash_kept_elsewhere(
    trail: Path, monkeypatch: Any, capsys: Any
) -> None:
    head = verify(trail).head
    trail.write_bytes(b"".join(trail.read_bytes().splitlines(keepends=True)[:-1]))
    assert run(monkeypatch, "verify", trail) == 0
    capsys.readouterr()
    assert run(monkeypatch, "verify", trail, "--head", head) == 1
    assert f"no record has the hash {head}: the end of the trail was cut off" in (
        capsys.readouterr().out
    )


def test_show(trail: Path, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "show", trail) == 0
    lines = capsys.readouterr().out.splitlines()
    request = "request bank.Teller#4 -> bank.Vault#5 door.Open"
    assert [line.split(maxsplit=1) for line in lines] == [
        ["0", "begin"],
        [
            "1",
            f"8000  denied   {request}: life.query idle at a.psl:7; base.assert denied at a.psl:9",
        ],
        ["2", f"granted  {request}"],
        ["3", "denied   execute Einit#2 -> a.B#3: no rule matches"],
        ["4", "12 records are missing here: the trail was full or slow"],
        ["5", "recovered after a crash: a torn line of 3 bytes was taken off"],
    ]


def test_show_json(trail: Path, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, "show", trail, "--denied", "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["seq"] for record in records] == [1, 3]
    assert records[0]["event"] == EVENT
    assert records[0]["calls"][0] == {
        "object": "life",
        "method": "query",
        "result": "idle",
        "file": "a.psl",
        "line": 7,
    }


@pytest.mark.parametrize("command", ["verify", "show"])
def test_no_such_file(tmp_path: Path, command: str, monkeypatch: Any, capsys: Any) -> None:
    assert run(monkeypatch, command, tmp_path / "no.jsonl") == 2
    assert "no.jsonl: No such file" in capsys.readouterr().err
