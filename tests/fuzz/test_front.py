"""scripts/fuzz.py: how far it goes, what it prints, and its exit status."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("khs_fuzz_front", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


front = _load()


@pytest.mark.parametrize(
    "fuzzer", ["guests", "windows", "core", "policies", "languages", "differential"]
)
def test_every_fuzzer_goes(fuzzer: str) -> None:
    plan = front.Plan(3, 1, "x86")
    summary = front.run(fuzzer, plan, 60)
    assert summary.count >= 1
    assert summary.findings == 0


def test_guests_from_the_command_line() -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        "guests",
        "--arch",
        "x64",
        "--cases",
        "1",
        "--seed",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("guests")
    assert "2048 cases" in done.stdout
    assert "0 findings" in done.stdout


def test_an_unknown_fuzzer() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "gests"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no fuzzer 'gests'; there is guests, windows," in done.stderr


def _some(plan: Any) -> Generator[Any, None, None]:
    for seed in range(plan.seed, plan.seed + 1000):
        wrong = [front._again("some", seed, 1, "it broke")] if seed == 12 else []
        yield front.Step(10, wrong, f"at {seed}")


@pytest.mark.parametrize(("seed", "status"), [(1, 0), (10, 1)])
def test_findings(
    seed: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(front.FUZZERS, "some", (_some, "things"))
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "some", "--cases", "35", "--seed", str(seed)])
    monkeypatch.setattr(front.subprocess, "run", lambda *given, **options: None)
    assert front.main() == status
    said = capsys.readouterr().out
    assert "40 things" in said
    repeat = "some: seed 12: it broke\n  repeat: python scripts/fuzz.py some --seed 12 --cases 1\n"
    assert (repeat in said) == bool(status)
    assert f"{status} finding" in said


def test_time_is_over() -> None:
    from tests.vm.test_differential import make_case

    summary = front.run("differential", front.Plan(1, front.FOREVER, None), 0.0)
    assert summary.count == len(make_case(1).events)  # one step
