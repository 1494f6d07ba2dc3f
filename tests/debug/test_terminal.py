"""khs debug and khs run --gdb as commands: signals, and what is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

ENVIRONMENT = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'monitor'}"}
KHS = [sys.executable, "-m", "khs"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits_for_a_gdb(number: signal.Signals) -> None:
    command = [*KHS, "run", "iot-gateway", "--gdb", "0"]
    with subprocess.Popen(
        command, env=os.environ | ENVIRONMENT, stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        while "gdb is awaited at 127.0.0.1:" not in (line := process.stderr.readline()):
            assert line
        assert "target remote 127.0.0.1:" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(20) == 130
        assert "interrupted: stopped after 0 of 200 frames" in process.stderr.read()
        assert "gateway" in process.stdout.read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "iot-gateway", "--gdb", "here"], "'here' is no [HOST:]PORT"),
        (["run", "iot-gateway", "--gdb", "0", "--isolate"], "--isolate is not for a debugged run"),
        (["debug", "iot-gateway", "--live"], "--live is for QEMU"),
        (
            ["debug", "uart", "uart", "uart", "--board", "pc", "--board", "pc"],
            "2 boards for 3 systems",
        ),
        (["debug", "iot-gateway", "-x", "/nowhere"], "/nowhere: there is no such file"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [*KHS, *arguments],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_without_gdb_its_installation_is_told(tmp_path: Path) -> None:
    file = tmp_path / "commands"
    file.write_text("continue\n", encoding="utf-8")
    done = subprocess.run(
        [*KHS, "debug", "iot-gateway", "-x", str(file)],
        env=os.environ | ENVIRONMENT | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "gdb is not installed\n  help: apt-get install gdb-multiarch" in done.stderr


def test_print_only_runs_nothing() -> None:
    done = subprocess.run(
        [*KHS, "debug", "iot-gateway", "--print-only"],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "target remote HOST:PORT\n" in done.stdout
    assert "define break-in sensor\n" in done.stdout
    in_python = r"^\s*(python|py|pi)\b|\$_(streq|regex|strlen|memeq|as_string)\b"
    assert not re.search(in_python, done.stdout, re.M), "not every gdb has it"
    assert not re.search(r"@[A-Z]+@", done.stdout), "every part was filled in"
