"""A writer is killed (SIGKILL) at random points, many times over, with one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from kss.trail import Trail, verify
from kss.trail.chain import read

WRITER = Path(__file__).with_name("writer.py")


def kill_after(path: Path, batch: int, size: int, reports: int) -> int:
    """Kills a writer that has told at least `reports` times; how many records it told of."""
    command = [sys.executable, str(WRITER), str(path), str(batch), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(reports):
            assert child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        told = child.stdout.read().split()
        assert child.wait() == -signal.SIGKILL
    return int(told[-1]) if told else 0


@pytest.mark.parametrize(("batch", "size"), [(1, 10), (20, 200), (3, 200_000)])
def test_no_completed_record_is_lost(tmp_path: Path, batch: int, size: int) -> None:
    path, rng = tmp_path / "audit.jsonl", Random(batch)
    for _ in range(8):
        before = verify(path).records if path.exists() else 0
        told = kill_after(path, batch, size, rng.randint(1, 30 if size < 1000 else 4))
        checked = verify(path)
        assert checked.ok, checked
        assert checked.records >= before + told
    with Trail(path) as trail:
        assert trail.head != checked.head
    assert verify(path).ok
    assert verify(path).torn == 0
    runs = [record for record in read(path) if record["record"] == "begin"]
    assert len(runs) == 9


def test_a_kill_can_tear_a_line_and_the_next_run_says_so(tmp_path: Path) -> None:
    """Every byte at which a write can be cut short."""
    whole = tmp_path / "whole.jsonl"
    with Trail(whole) as trail:
        trail.append({"record": "n", "n": 1})
        trail.append({"record": "n", "n": 2})
    data = whole.read_bytes()
    for end in range(len(data) + 1):
        path = tmp_path / "cut.jsonl"
        path.unlink(missing_ok=True)
        path.write_bytes(data[:end])
        complete = data[:end].count(b"\n")
        torn = end - (data.rfind(b"\n", 0, end) + 1)
        checked = verify(path)
        assert (checked.ok, checked.records, checked.torn) == (complete > 0, complete, torn)
        Trail(path).close()
        records = list(read(path))
        assert verify(path).ok
        kinds = [record["record"] for record in records]
        assert kinds[complete:] == ["begin"] + ["recovered"] * bool(torn)
        if torn:
            assert records[-1]["torn"] == torn
