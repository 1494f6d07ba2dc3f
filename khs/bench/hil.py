"""What devices cost: accesses to models in C and in Python, and a serial line through a driver."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from khs.bench.can import on_bus
from khs.bench.figures import Figure
from khs.engine import unicorn
from khs.engine.device import Device
from khs.engine.lines import Exchange, Party
from khs.hil import serial
from khs.hil.pace import RealTime, prompt
from khs.hil.testing import Spec, opened
from khs.image import Archive, open_system
from khs.resources import shipped

BOARDS = {"armv7": "sabrelite", "x64": "q35", "x86": "pc"}
PORT, ECHO_PORT = "bench.uart3", "driver.uart3"
TRIES = 3
FRAMES, FEW = 40, 4
BYTES = 400_000
PACED = 200  # frames of 20 ms
#: At the other end of the pseudo terminal: sends, hears, and tells MB/s and whether all came back.
PEER = """
import os, select, sys, time
fd, count = int(sys.argv[1]), int(sys.argv[2])
heard = bytearray()
while not heard.endswith(b"ready\\n"):
    heard += os.read(fd, 4096)
said = bytes(range(65, 91)) * (count // 26)
left, heard = memoryview(said), bytearray()
os.set_blocking(fd, False)
began = time.perf_counter()
while len(heard) < len(said):
    reads, writes, _ = select.select([fd], [fd] if left else [], [], 20)
    if not reads and not writes:
        break
    if reads:
        heard += os.read(fd, 65536)
    if writes:
        try:
            left = left[os.write(fd, left[:4096]):]
        except BlockingIOError:
            pass
print(len(heard) / (time.perf_counter() - began) / 1e6, int(heard == said))
"""


class Busy(Device):
    """Says nothing, and says so in Python."""

    def read(self, offset: int, size: int, now: int) -> int:
        return 0


@dataclass(frozen=True)
class _Ran:
    """A piece of a run, without the engines' start."""

    seconds: float
    ticks: int
    accesses: int


@cache
def _archive(board: str, mode: str) -> Archive:
    folder = shipped("images") / "bench"
    return open_system(folder, [folder / f"{mode}.toml"], board)


def _played(board: str, mode: str, model: Device | None = None, frames: int = FRAMES) -> _Ran:
    """The busy partition, in a loop of eight reads."""
    models = {} if model is None else {PORT: model}
    with unicorn.Machine(_archive(board, mode), models=models) as machine:
        machine.run(2)
        before, count = machine.host.view(0).ticks, _accesses(machine)
        began = time.perf_counter()
        machine.run(frames)
        seconds = time.perf_counter() - began
        return _Ran(seconds, machine.host.view(0).ticks - before, _accesses(machine) - count)


def _accesses(machine: unicorn.Machine) -> int:
    counts = machine.devices.counts()
    return counts[PORT]["accesses"] if counts else 0


def _ns(board: str, model: Device | None = None, frames: int = FRAMES) -> tuple[float, float]:
    """Per access, without the loop; and what a round's eighth of the same loop takes on memory."""
    loops = [_played(board, "memory") for _ in range(TRIES)]
    tries = [_played(board, "device", model, frames) for _ in range(TRIES)]
    tick = min(ran.seconds * 1e9 / ran.ticks for ran in loops)
    ran = min(tries, key=lambda ran: ran.seconds)
    loop = tick * ran.ticks / ran.accesses
    return ran.seconds * 1e9 / ran.accesses - loop, loop


@contextmanager
def _another_thread() -> Iterator[None]:
    """That wants the lock of Python all the time."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def figures() -> Iterator[Figure]:
    """Reads of a status register, less the same loop on memory, an echo, and what
    tests begin with."""
    for arch, board in BOARDS.items():
        row: dict[str, Any] = {"section": "hil", "arch": arch, "unit": "ns"}
        value, loop = _ns(board)
        name = "access in C; baseline: the loop on memory, taken off"
        yield Figure.at_most(50, **row, name=name, value=value, baseline=loop)
        value, loop = _ns(board, Busy(), FEW)
        yield Figure.at_most(1000, **row, name="access in Python", value=value, baseline=loop)
        with _another_thread():
            value, loop = _ns(board, Busy(), FEW)
        name = "the same, another thread busy"
        yield Figure.at_most(1000, **row, name=name, value=value, baseline=loop)
        yield _echo(board, arch)
        yield on_bus(board, arch)
        yield _restore(board, arch)
    yield from _real_time()


def _restore(board: str, arch: str) -> Figure:
    """What the pytest plugin does to a system between two tests that ran it for 200 ms."""
    seconds = []
    with opened(Spec("iot-gateway", board=board)) as rig:
        for _ in range(2 * TRIES):
            rig.begin(10**9)
            rig.run_for("200ms")
            began = time.perf_counter()
            rig.reset()
            seconds.append(time.perf_counter() - began)
    name = "restore before a test"
    row: dict[str, Any] = {"section": "hil", "arch": arch, "unit": "ms"}
    return Figure.at_most(5, **row, name=name, value=min(seconds) * 1e3)


def _real_time() -> Iterator[Figure]:
    """How many frames of the gateway end within 1 ms of when they are to, and the rest."""
    archive = open_system("iot-gateway")
    for busy in (False, True):
        slips: list[RealTime] = []

        def meet(exchange: Exchange, slips: list[RealTime] = slips) -> list[Party]:
            slips.append(RealTime(exchange))
            return [*slips]

        beside = _another_thread() if busy else nullcontext()
        with beside, prompt(), unicorn.Machine(archive, outside=meet) as machine:
            machine.run(PACED)
        slip, more = slips[0].slip, ", another thread busy" if busy else ""
        share = 100 * (1 - slip.late / slip.frames)
        row: dict[str, Any] = {"section": "hil", "arch": "armv7"}
        name, asked = f"real time: frames within 1 ms{more}", None if busy else ">= 99 %"
        fine = busy or share >= 99
        yield Figure(**row, name=name, value=share, unit="%", asked=asked, ok=fine)
        for which, us in (("99 %", slip.percentile(99)), ("worst", slip.worst_ns / 1000)):
            yield Figure(**row, name=f"real time: slip, {which}{more}", value=us, unit="us")


def _echo(board: str, arch: str) -> Figure:
    """Bytes through a pseudo terminal and the driver and back, as fast as it goes; the best try."""
    rates, whole = zip(*(_echoed(board) for _ in range(TRIES)), strict=True)
    name, asked = "echo through a pty, no byte lost", ">= 1 MB/s"
    row: dict[str, Any] = {"section": "hil", "arch": arch}
    fine = all(whole) and max(rates) >= 1
    return Figure(**row, name=name, value=max(rates), unit="MB/s", asked=asked, ok=fine)


def _echoed(board: str) -> tuple[float, bool]:
    """MB/s, and whether every byte came back."""
    images = shipped("images")
    archive = open_system(images / "uart", [images / "uart" / "line.toml"], board)
    master, slave = os.openpty()
    tty.setraw(slave)
    with (
        subprocess.Popen(
            [sys.executable, "-c", PEER, str(master), str(BYTES)],
            pass_fds=[master],
            stdout=subprocess.PIPE,
            text=True,
        ) as peer,
        serial.opened({ECHO_PORT: os.ttyname(slave)}, lambda line: None) as lines,
        unicorn.Machine(archive, lines=lines) as machine,
    ):
        while peer.poll() is None:
            machine.run(20)
        assert peer.stdout is not None
        rate, whole = peer.stdout.read().split()
    os.close(master)
    os.close(slave)
    return float(rate), whole == "1"
