"""`kss check` of the other files of a solution: classes, components, packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kss.api import check
from kss.errors import Finding

from tests.kss.conftest import LIB
from tests.kss.test_cli import run


def brief(found: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return [(finding.rule, finding.line) for finding in found]


@pytest.mark.parametrize("name", sorted(path.name for path in (LIB / "bank").iterdir()))
def test_sound_files(name: str) -> None:
    assert brief(check(LIB / "bank" / name)) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Bad.edl", "task class bank.Bad\nendpoints { a : bank.INone }\n", [("EDL-005", 2)]),
        ("Bad.edl", "task class bank.Bad\nendpoint { }\nsecurty x\n", [("SRC-003", 2)]),
        ("Bad.cdl", "component bank.Bad\ncomponents { a : bank.Bad }\n", [("EDL-006", 2)]),
        ("Bad.cdl", "component bank.Other\nendpoints { a : bank.IBolt }\n", [("EDL-001", 1)]),
        ("Bad.idl", "package bank.Other\n", [("IDL-001", 1)]),
        ("Bad.idl", "package bank.Bad\nstruct A { B b; }\ntypedef Nope C;\n", [("IDL-002", 2), ("IDL-002", 3)]),
        ("Bad.idl", "package bank.Bad\nimport bank.None\n", [("IDL-011", 2)]),
        ("Bad.idl", "package bank.@NAME@\ntypedef @TYPE@ C;\n", [("SRC-005", 1), ("SRC-005", 2)]),
    ],
)  # fmt: skip
def test_wrong_files(name: str, text: str, found: list[tuple[str, int]], tmp_path: Path) -> None:
    path = tmp_path / "bank" / name
    path.parent.mkdir()
    path.write_text(text)
    assert brief(check(path, [LIB])) == found


def test_templates_and_stubs(tmp_path: Path) -> None:
    path = tmp_path / "Bad.edl"
    path.write_text("task class bank.@NAME@\nendpoints { a : acme.IThing }\n")
    defines = {"NAME": "Bad"}
    assert brief(check(path, defines=defines)) == [("EDL-005", 2)]
    assert brief(check(path, defines=defines, stub=True)) == [("STUB-001", 2)]


def test_several_files_at_once(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """What they share is told once; each is looked at, whatever is wrong with the others."""
    (tmp_path / "Bad.idl").write_text("package Bad\ntypedef Nope C;\n")
    for name in ("A", "B"):
        (tmp_path / f"{name}.edl").write_text(f"task class {name}\nendpoints {{ a : Bad }}\n")
    wrong = [tmp_path / "A.edl", tmp_path / "B.edl"]
    good = LIB / "bank/IDoor.idl"
    assert run(monkeypatch, "check", *wrong, good, "-I", tmp_path, "-I", LIB, "--json") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    places = [(Path(each["file"]).name, each["rule"]) for each in findings]
    assert places.count(("Bad.idl", "IDL-002")) == 1
    assert run(monkeypatch, "check", good, good, "-I", LIB) == 0
    assert run(monkeypatch, "check", good, tmp_path / "none.edl") == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_description_under_another_name_tells_everything_in_one_run(tmp_path: Path) -> None:
    """What the file declares is looked up in it; nothing is told that only follows."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/I.idl").write_text("package a.I\ninterface { M(); M(); }\n")
    path = tmp_path / "a/Bad.edl"
    path.write_text("task class a.Other\nendpoints { x : a.I x : a.I }\nsecurity a.None\n")
    found = check(path)
    assert brief(found) == [("EDL-001", 1), ("EDL-003", 2), ("IDL-004", 2), ("EDL-005", 3)]
    assert found[0].help == "call it a.Bad, or the file Other.edl"
    path = tmp_path / "a/J.idl"
    path.write_text("package a.K\ninterface { M(); M(); }\n")
    assert brief(check(path)) == [("IDL-001", 1), ("IDL-004", 2)]
