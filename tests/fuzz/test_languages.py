"""Damaged policies and descriptions, some each time; scripts/fuzz.py goes on for longer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from kss.api import check, load_policy

from tests.fuzz import languages


def test_the_sound_solution_is_sound(tmp_path: Path) -> None:
    languages.lay_out(tmp_path)
    defines = languages._DEFINES
    assert not check(tmp_path / languages.MAIN, defines=defines)
    assert not check(tmp_path / "init.yaml")
    assert load_policy(tmp_path / languages.MAIN, defines=defines).tests


def test_damaged_solutions(tmp_path: Path) -> None:
    for number, wrong in enumerate(islice(languages.cases(0, tmp_path / "it"), 60)):
        assert not wrong, f"seed {number}: {wrong}"


def test_a_defect_is_found(tmp_path: Path, monkeypatch: object) -> None:
    """The fuzzer sees an exception and a place that is not there."""
    languages.lay_out(tmp_path)
    (finding, *_) = check(tmp_path / languages.MAIN)
    assert not languages._misplaced(finding, tmp_path)
    from dataclasses import replace

    assert languages._misplaced(replace(finding, line=999), tmp_path)
    assert languages._misplaced(replace(finding, column=999), tmp_path)
    assert languages._misplaced(replace(finding, file="nowhere"), tmp_path)
