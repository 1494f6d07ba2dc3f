"""Ctrl-C while a command starts: one line, exit code 130."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CTRL_C = "__import__('os').kill(__import__('os').getpid(), __import__('signal').SIGINT)"
COMMAND = pytest.mark.parametrize("command", ["khs", "kss"])


def interrupted(arguments: list[str], folder: Path) -> str:
    path = os.pathsep.join(map(str, (folder, ROOT, ROOT / "monitor")))
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    return done.stdout + done.stderr


@COMMAND
def test_while_modules_are_loaded(command: str, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(CTRL_C)
    assert interrupted(["-m", command, "--help"], tmp_path) == f"{command}: interrupted\n"


@COMMAND
def test_while_the_command_line_is_read(command: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import typer.main\nfrom {command}.__main__ import main\n"
        f"typer.main.get_command = lambda app: {CTRL_C}\nmain()\n"
    )
    assert interrupted([str(program), "--version"], tmp_path) == f"{command}: interrupted\n"


def test_once_it_runs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import khs.doctor\nfrom khs.__main__ import main\n"
        f"khs.doctor.examine = khs.doctor.report = lambda *_, **__: {CTRL_C}\nmain()\n"
    )
    assert "khs: interrupted\n" in interrupted([str(program), "doctor"], tmp_path)
