"""`khs debug --tui` at a real terminal, and where it cannot be."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from khs.debug import tui
from khs.errors import KhsError
from khs.image import open_system
from khs.resources import shipped
from khs.runs import plan

SYSTEM = shipped("images") / "iot-gateway" / "system.toml"
COMMAND = [sys.executable, "-m", "khs", "debug", "iot-gateway", "--tui"]


@contextmanager
def terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command at a terminal of 80x24; ours is the other end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(ours: int, text: str) -> str:
    """What comes to the screen up to a text."""
    seen = b""
    while text.encode() not in seen:
        assert select.select([ours], [], [], 60)[0], seen[-2000:]
        seen += os.read(ours, 65536)
    return seen.decode(errors="replace")


def test_at_a_terminal() -> None:
    with terminal("--frames", "30") as (process, ours):
        until(ours, "begin of the run")
        os.write(ours, b"f")
        until(ours, "20.000000 ms")
        os.write(ours, b"?")
        until(ours, "major frame")
        os.write(ours, b"?")
        os.write(ours, b"q")
        until(ours, "ended after 1 of 30 frames")
        assert process.wait(30) == 0


def test_without_a_terminal() -> None:
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 2
    assert "the terminal's debugger needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [["-x", "pyproject.toml"], ["--port", "0"], ["--json"]])
def test_what_it_goes_without(option: list[str]) -> None:
    done = subprocess.run([*COMMAND, *option], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--tui is for people at a terminal" in done.stderr


class TestTextual:
    def test_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "textual", None)
        with pytest.raises(KhsError, match=r"pip install 'khs\[tui\]'"):
            tui.run(plan(open_system(SYSTEM)), SYSTEM)

    def test_is_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("textual.__version__", "7.5.0", raising=False)
        with pytest.raises(KhsError, match=r"textual 7\.5\.0 is too old"):
            tui.run(plan(open_system(SYSTEM)), SYSTEM)

    def test_is_loaded_where_it_is_used_alone(self) -> None:
        program = (
            "import sys, khs.cli, khs.debug.tui, khs.debug.live; print('textual' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"
