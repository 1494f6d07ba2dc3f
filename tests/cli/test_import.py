"""`khs import`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from khs import resources
from tests.cli.conftest import Khs

CROSSING = resources.shipped("images") / "traffic-light"


def test_it_names_every_file_and_what_to_do_next(
    khs: Khs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = khs("import", CROSSING)
    assert done.code == 0
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found <= set(done.out.splitlines())
    assert "0 things were not carried over, 0 taken on trust" in done.out
    assert done.out.endswith("next: khs run traffic-light-khs\n")
    assert khs("check", "traffic-light-khs").code == 0


def test_json(khs: Khs, tmp_path: Path) -> None:
    done = khs("import", CROSSING, "-o", tmp_path / "here", "--board", "q35", "--json")
    told = json.loads(done.out)
    assert told["folder"] == str(tmp_path / "here")
    assert all(Path(name).is_file() for name in told["files"])
    assert told["lost"] == told["trusted"] == []
    assert 'board = "q35"' in (tmp_path / "here/system.toml").read_text()


def test_bad_input_ends_with_2(khs: Khs, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, words in (
        ([tmp_path / "gone"], "there is no folder"),
        ([empty], "IMP-001: there is no init description"),
        ([CROSSING, "--define", "X"], "--define takes NAME=TEXT, not X"),
        ([CROSSING, "-o", CROSSING], "is not empty"),
        ([CROSSING, "-o", tmp_path / "new", "--board", "no-such"], "no-such"),
        ([CROSSING, "-o", "/proc/new"], "cannot write"),
    ):
        done = khs("import", *arguments)
        assert (done.code, words in done.err) == (2, True), (arguments, done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    told = json.loads(khs("import", empty, "--json").out)
    assert told["findings"][0]["rule"] == "IMP-001"
