"""--isolate: what the process that runs the guests can still do."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from khs.engine.native import Host, confine, library
from khs.engine.unicorn import Machine
from khs.errors import EngineError
from tests.host.system import Arch, Partition
from tests.host.test_machine import BUSY, COUNT, archive

ROOT = Path(__file__).parents[2]
LIBC = ctypes.CDLL(None, use_errno=True)


def in_confinement(attempt: Callable[[], object]) -> str:
    """What a confined process says of an attempt."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "not confined"
        if confine(writing):
            try:
                said = f"did {attempt()}"
            except OSError as error:
                said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def mapped_file() -> object:
    """An executable mapping of the program itself would be a way around openat."""
    result = LIBC.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, 0, 0)
    if result == -1:
        raise OSError(ctypes.get_errno(), "mmap")
    return result


REFUSED: dict[str, Callable[[], object]] = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "create": lambda: os.open("/tmp/khs-escaped", os.O_CREAT | os.O_WRONLY),
    "read": lambda: os.read(0, 1),
    "write elsewhere": lambda: os.write(2, b"escaped"),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill the parent": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "kill another": lambda: os.kill(1, 0),
    "mmap a file": mapped_file,
    "unlink": lambda: Path("/tmp/khs-escaped").unlink(),
    "environment": lambda: list(Path("/proc").iterdir()),
}


@pytest.mark.parametrize("attempt", REFUSED)
def test_refused(attempt: str) -> None:
    library()  # loaded before the fork
    assert in_confinement(REFUSED[attempt]) == "PermissionError"


def test_allowed() -> None:
    assert in_confinement(lambda: len(bytearray(64 << 20))) == f"did {64 << 20}"


def children(process: int | None = None) -> list[int]:
    number = process or os.getpid()
    text = Path(f"/proc/{number}/task/{number}/children").read_text()
    return [int(child) for child in text.split()]


def test_guests_run_confined() -> None:
    seen = []

    def sink(view: memoryview) -> None:
        status = Path(f"/proc/{children()[-1]}/status").read_text()
        seen.append(dict(line.split(":\t") for line in status.splitlines() if ":\t" in line))

    with Machine(BUSY, isolate=True) as machine:
        machine.run(10, sink=sink)
    assert seen
    assert all((status["Seccomp"], status["NoNewPrivs"]) == ("2", "1") for status in seen)
    assert children() == []


def test_progress_is_told_while_the_child_runs() -> None:
    """Also of guests that cause no event at all."""
    seen = []

    def progress(done: int, wanted: int) -> None:
        seen.append(done)
        assert wanted == 40_000 and len(children()) == 1

    with Machine(archive(Partition(COUNT)), isolate=True) as machine:
        result = machine.run(40_000, progress=progress)
    assert result.frames == 40_000
    assert seen == sorted(seen) and seen[-1] == 40_000
    assert len(set(seen)) > 3


def test_a_child_that_dies_is_an_error() -> None:
    def sink(view: memoryview) -> None:
        os.kill(children()[-1], signal.SIGKILL)

    with (
        Machine(BUSY, isolate=True) as machine,
        pytest.raises(EngineError, match=r"died \(signal 9\)"),
    ):
        machine.run(100_000, sink=sink)


def test_a_sink_that_fails_leaves_no_child() -> None:
    def sink(view: memoryview) -> None:
        raise ValueError("disk full")

    with Machine(BUSY, isolate=True) as machine, pytest.raises(ValueError, match="disk full"):
        machine.run(100_000, sink=sink)
    assert children() == []


def test_an_abort_of_the_engine_is_survived_in_confinement() -> None:
    from khs.engine.native import Options

    given = archive(Partition(b"\x90\xf0\x0f\xab\xd1"), Partition(COUNT))
    assert given.system.arch is Arch.X86
    with Machine(given, isolate=True, options=Options(unscanned=True)) as machine:
        result = machine.run(3)
    assert result.partitions["a"].faults == 1
    assert result.partitions["b"].ticks == 30_000


def test_a_packet_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(host: Host, frames: int, until: int, descriptor: int, parent: int) -> None:
        os.write(descriptor, struct.pack("<II", 1, host.packet_most() + 1))
        os._exit(0)

    monkeypatch.setattr(Host, "serve", serve)
    with Machine(BUSY, isolate=True) as machine, pytest.raises(EngineError, match="wrote nonsense"):
        machine.run(1)
    assert children() == []


SPINNING = r"""
from khs.engine.unicorn import Machine
from tests.host.test_machine import Partition, archive
given = archive(Partition(b"\xeb\xfe"), windows=((0, 1 << 50),))
with Machine(given, isolate=True) as machine:
    machine.run(1)
"""


def test_guests_do_not_outlive_the_process_that_runs_them() -> None:
    """Not even those that cannot find out. Both processes hold a pipe open as long as they live."""
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'monitor'}"}
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", SPINNING], env=environment, pass_fds=[writing]
    ) as parent:
        os.close(writing)
        try:
            child = confined_child(parent)
            os.kill(child, signal.SIGSTOP)
        finally:
            parent.kill()
    ended, _, _ = select.select([reading], [], [], 20)
    os.close(reading)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended


def confined_child(parent: subprocess.Popen[bytes]) -> int:
    """The process that runs the guests, once it does so."""
    while parent.poll() is None:
        for child in children(parent.pid):
            if "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text():
                return child
    raise AssertionError(f"exit status {parent.returncode}")
