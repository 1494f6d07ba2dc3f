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


#: Runs a guest that does nothing wrong until somebody says that it is enough. Exits 4.
SPINNING = r"""
import os, signal, sys, threading
from khs.engine.native import Host
from tests.host.system import *

host = Host(*build(System(Arch.X64, [Partition(b"\xeb\xfe")])), [policy()])
host.boot()
enough = threading.Event()

def used():
    return int(open(f"/proc/self/task/{os.getpid()}/stat").read().rsplit(")")[1].split()[11])

def converse():
    began = used()
    while used() < began + 5:
        pass
    print("running", flush=True)
    sys.stdin.readline()
    enough.set()

def run():
    while host.view(0).faults == 0 and not enough.is_set():
        host.run()
    os._exit(0 if host.view(0).faults else 4)
"""
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'monitor'}"}


@pytest.mark.parametrize("how", ["os.abort()", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_an_abort_outside_guests_still_ends_the_process(how: str) -> None:
    """Also while guests run in another thread."""
    script = f"{SPINNING}\nthreading.Thread(target=run, daemon=True).start()\n{how}"
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, timeout=30)
    assert done.returncode in (-signal.SIGABRT, -signal.SIGSEGV)


def signalled(number: int, before: str = "") -> int:
    """Exit status of a process that gets a signal while guests run."""
    script = f"{SPINNING}\n{before}\nthreading.Thread(target=converse).start()\nrun()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        child.send_signal(number)
        child.communicate(b"enough\n", timeout=30)
    return child.returncode


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE])
def test_a_signal_from_outside_is_no_fault_of_a_guest(number: signal.Signals) -> None:
    assert signalled(number) == -number
    assert signalled(number, f"signal.signal({number}, lambda *_: os._exit(3))") == 3
    assert signalled(number, f"signal.signal({number}, signal.SIG_IGN)") == 4
