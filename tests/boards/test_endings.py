"""QEMU ends with the command that started it, whatever ends that."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FRAMES = "1000000"  # more than there is time for


def child_of(pid: int) -> int:
    """The one child; there is one as soon as a guest speaks."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(found) == 1, found
    return int(found[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_runs_on(number: signal.Signals, board: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "khs", "run", "uart", "--board", board, "--console"]
    khs = subprocess.Popen(
        [*command, "--engine", "qemu", "--frames", FRAMES],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert khs.stdout is not None
    with khs:
        assert khs.stdout.readline().startswith("bystander: ")
        qemu = os.pidfd_open(child_of(khs.pid))
        khs.send_signal(number)
        ended = select.select([qemu], [], [], 30)[0]
        os.close(qemu)
    assert ended, "QEMU runs on"
    if number is not signal.SIGKILL:
        assert khs.returncode == 128 + number
        assert not list(tmp_path.glob("khs-*"))
