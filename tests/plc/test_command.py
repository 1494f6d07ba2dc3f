"""The bench as a user runs it: by its name, from anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from khs.cli import app


def khs(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout


def test_the_bench_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.chdir(tmp_path)
    whole = ("run", "--bench", "plc", "--with", "attack.toml", "--frames", "750", "--json")
    status, out = khs(*whole)
    told = json.loads(out)
    assert status == 0
    assert told["plants"]["drive"]["steps"] == 3750
    assert sorted(told["plants"]["drive"]["outputs"]) == ["encoder", "pickup", "vibration"]
    assert told["verdicts"]["denied"] == 1
    assert told["reproducible"]


def test_without_its_plant_the_drive_stands(tmp_path: Path) -> None:
    """As on an emulated board: no speed, no confirmation, no second setpoint."""
    pytest.importorskip("ziglang")
    status, out = khs("run", "plc", "--frames", "900", "--json")
    told = json.loads(out)
    assert status == 0
    assert "plants" not in told
    assert (told["verdicts"]["denied"], told["partitions"]["safety"]["faults"]) == (0, 0)


def test_a_recording_needs_no_plant(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    kept = str(tmp_path / "kept")
    status, out = khs("run", "--bench", "plc", "--frames", "400", "--record", kept, "--json")
    assert status == 0
    status, again = khs("replay", kept, "--json")
    assert status == 0
    assert json.loads(out)["trace_sha256"] in again
