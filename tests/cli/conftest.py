"""The `khs` command in this process: exit code, standard output, standard error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from khs import resources
from khs.cli import app


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


Khs = Callable[..., Done]


@pytest.fixture
def khs(monkeypatch: pytest.MonkeyPatch) -> Khs:
    """Runs `khs ARGUMENTS`; help is as wide as a log."""
    monkeypatch.setenv("TERMINAL_WIDTH", "120")
    monkeypatch.delenv("KHS_DEBUG", raising=False)

    def run(*arguments: object) -> Done:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A copy of the demonstration system, to change."""
    pytest.importorskip("ziglang")
    target = tmp_path / "system"
    shutil.copytree(resources.shipped("images") / "iot-gateway", target)
    return target
