"""The CPU engine aborts on some code that the scan normally refuses: the process survives."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from khs.engine.native import Options
from tests.host.conftest import Load
from tests.host.system import COLD, LOG, RAM, Arch, Partition, System
from tests.host.test_hostile import FAULT, events

ROOT = Path(__file__).parents[2]
ABORTS = bytes.fromhex("4090f00fabd1")
WORKS = b"\xbb" + struct.pack("<I", RAM) + b"\xff\x03\xeb\xfc"
SIGNAL, EXHAUSTED, ENGINE = 0x100, 0x201, 11


def aborting(load: Load, arch: Arch, action: int, most: int = 0) -> list[tuple[int, int]]:
    """Kind and detail of the faults of a partition that aborts its engine, beside one that works."""
    system = System(
        arch,
        [Partition(ABORTS, action=action), Partition(WORKS)],
        [(0, 500), (1, 1001)],
        costs=(400, 0, 0),
    )
    host = load(system, Options(unscanned=True, abandoned_most=most))
    host.run(frames=12)
    assert int.from_bytes(host.read(1, RAM, 4), "little") == 12 * 1001 // 2
    assert host.view(1).ticks == 12 * 1001
    parts = b"".join(bytes(part) for d in host.drain() for n, part in d.parts if n == 0)
    return [(event.code, event.args[2]) for event in events(parts) if event.type == FAULT]


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_an_abort_is_a_fault_of_one_partition(load: Load, arch: Arch) -> None:
    assert aborting(load, arch, LOG) == [(ENGINE, SIGNAL + signal.SIGABRT)]


def test_restarted_with_a_new_engine_but_not_for_ever(load: Load) -> None:
    faults = aborting(load, Arch.X64, COLD, most=4)
    assert faults[:5] == [(ENGINE, SIGNAL + signal.SIGABRT)] * 5
    assert len(faults) > 5
    assert set(faults[5:]) == {(ENGINE, EXHAUSTED)}


def test_handlers_are_gone_when_no_guest_runs(load: Load) -> None:
    before = Path("/proc/self/status").read_text()
    aborting(load, Arch.X64, LOG)
    assert caught(before) == caught(Path("/proc/self/status").read_text())


def caught(status: str) -> str:
    return next(line for line in status.splitlines() if line.startswith("SigCgt"))


def test_in_several_threads_at_once(load: Load) -> None:
    results: list[list[tuple[int, int]]] = []
    threads = [
        threading.Thread(target=lambda: results.append(aborting(load, Arch.X86, LOG)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[(ENGINE, SIGNAL + signal.SIGABRT)]] * 3


@pytest.mark.parametrize("how", ["os.abort()", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_an_abort_outside_guests_still_ends_the_process(how: str) -> None:
    """Also while guests run in another thread."""
    script = f"""
import os, signal, threading
from khs.engine.native import Host
from tests.host.system import *
host = Host(*build(System(Arch.X64, [Partition(b"\\xeb\\xfe")])), [policy()])
host.boot()
started = threading.Event()
def run():
    started.set()
    while True:
        host.run(until=1 << 60)
threading.Thread(target=run, daemon=True).start()
started.wait()
{how}
"""
    path = f"{ROOT}:{ROOT / 'monitor'}"
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, timeout=30)
    assert done.returncode in (-signal.SIGABRT, -signal.SIGSEGV)
