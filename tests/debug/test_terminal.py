"""khs debug and khs run --gdb as commands: a prompt with Ctrl-C, signals, and what is told."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import ROOT, use_gdb

ENVIRONMENT = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'monitor'}"}
KHS = [sys.executable, "-m", "khs"]


@contextmanager
def terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a terminal of its own."""
    ours, theirs = pty.openpty()
    environment = os.environ | ENVIRONMENT | {"TERM": "dumb"}
    process = subprocess.Popen(
        [*KHS, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(screen: int, text: bytes) -> bytes:
    """What the terminal shows up to a text."""
    seen = b""
    while text not in seen:
        assert select.select([screen], [], [], 30)[0], seen
        seen += os.read(screen, 4096)
    return seen


def test_ctrl_c_at_the_prompt_is_gdbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_gdb("debian", tmp_path, monkeypatch)
    with terminal("debug", "iot-gateway", "--frames", "100000000") as (process, screen):
        until(screen, b"(gdb) ")
        os.write(screen, b"continue\n")
        until(screen, b"Continuing.")
        os.write(screen, b"\x03")
        assert b"SIGINT" in until(screen, b"(gdb) ")
        os.write(screen, b"where-am-i\n")
        assert re.search(
            rb"ms  frame \d+  (window of \w+|no window), tick", until(screen, b"(gdb) ")
        )
        os.write(screen, b"kill inferiors 1 2 3 4 5\nquit\n")
        until(screen, b"khs: ended after")
        assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits_for_a_gdb(number: signal.Signals) -> None:
    command = [*KHS, "run", "iot-gateway", "--gdb", "0"]
    with subprocess.Popen(
        command, env=os.environ | ENVIRONMENT, stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        while "gdb is awaited at 127.0.0.1:" not in (line := process.stderr.readline()):
            assert line
        told = [process.stderr.readline() for _ in range(3)]
        process.send_signal(number)
        assert process.wait(20) == 130
        assert "interrupted: stopped after 0 of 200 frames" in process.stderr.read()
        assert "gateway" in process.stdout.read()
    assert "gdb-multiarch -x /" in told[0], "with hc, why, denied"
    assert "target remote 127.0.0.1:" in told[2]


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
        (["debug", "--bench", "plc"], "--record REC, or with lines; then khs debug REC"),
        (["debug", "uart", "--serial", "driver.uart3=-"], "what is outside cannot: no bench"),
        (["debug", "uart", "--device", "driver.uart9=x.py"], "there is no such device"),
        (
            ["debug", "uart", "uart", "--device", "driver.uart3=x.py"],
            "--device is for one system on Unicorn",
        ),
        (["debug", "iot-gateway", "-x", "/nowhere"], "/nowhere: there is no such file"),
        (["debug", "iot-gateway", "-x", "/"], "/: this is a folder"),
        (
            ["debug", "iot-gateway", "--port", "0", "-x", __file__],
            "-x is for a gdb that khs starts",
        ),
        (["debug", "iot-gateway", "--gdb-only", "-x", __file__], "-x is for a gdb that khs starts"),
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
    assert "--tui" in done.stderr


def test_a_pipe_is_a_command_file() -> None:
    if shutil.which("gdb-multiarch") is None:
        pytest.skip("there is no gdb-multiarch")
    done = subprocess.run(
        [*KHS, "debug", "iot-gateway", "--frames", "2", "-x", "/dev/stdin"],
        env=os.environ | ENVIRONMENT,
        input="where-am-i\ncontinue\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "the run is over" in done.stdout + done.stderr


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
