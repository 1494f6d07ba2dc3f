"""What devices cost: accesses to models in C and in Python, and a serial line through a driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from khs.bench.figures import Figure
from khs.engine import unicorn
from khs.engine.device import Device
from khs.engine.inputs import Inputs
from khs.engine.lines import Exchange, Party
from khs.hil.pace import RealTime, prompt
from khs.hil.testing import Spec, opened
from khs.image import Archive, open_system
from khs.resources import shipped

BOARDS = {"armv7": "sabrelite", "x64": "q35", "x86": "pc"}
PORT = "driver.uart3"
TRIES = 3
FRAMES = 40
BYTES = 200_000
PACED = 200  # frames of 20 ms
MS = 125_000


class Busy(Device):
    """Has no room to send: the driver asks in a tight loop, all its windows long."""

    def read(self, offset: int, size: int, now: int) -> int:
        return 0


@dataclass(frozen=True)
class _Ran:
    seconds: float
    accesses: int
    sent: int


@cache
def _archive(board: str) -> Archive:
    return open_system(str(shipped("images") / "uart"), [], board)


def _played(board: str, model: Device | None, said: bytes, frames: int) -> _Ran:
    """A run of the shipped driver; its first frame, with the engines' start, is not measured."""
    image = Inputs(_archive(board), [(MS, 0, said)] if said else [])
    models = {} if model is None else {PORT: model}
    with unicorn.Machine(image, models=models) as machine:
        machine.run(1)
        before = machine.devices.counts()[PORT]
        began = time.perf_counter()
        machine.run(frames)
        seconds = time.perf_counter() - began
        counts = machine.devices.counts()[PORT]
    return _Ran(seconds, counts["accesses"] - before["accesses"], counts["sent"] - before["sent"])


def _ns(play: Callable[[], _Ran]) -> float:
    """Per access, the driver's own loop of some four instructions with it."""
    tries = [play() for _ in range(TRIES)]
    return min(ran.seconds * 1e9 / ran.accesses for ran in tries)


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


def _in_c(board: str) -> float:
    """The driver asks for room after each byte that it echoes."""
    return _ns(lambda: _played(board, None, b"x" * 4000, FRAMES))


def _in_python(board: str) -> float:
    return _ns(lambda: _played(board, Busy(), b"", 2))


def figures() -> Iterator[Figure]:
    """Accesses of the shipped drivers, which ask their UART whether it has room, an echo, and
    what tests begin with."""
    for arch, board in BOARDS.items():
        row: dict[str, Any] = {"section": "hil", "arch": arch, "unit": "ns"}
        name = "access in C, with the loop around it"
        yield Figure.at_most(50, **row, name=name, value=_in_c(board))
        name = "access in Python, with the loop around it"
        yield Figure.at_most(1000, **row, name=name, value=_in_python(board))
        with _another_thread():
            beside = _in_python(board)
        yield Figure.at_most(1000, **row, name="the same, another thread busy", value=beside)
        yield _echo(board, arch)
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
    """Bytes through the driver and back for each second of host time; none may be lost."""
    said = bytes(range(65, 91)) * (BYTES // 260)
    frames = 1 + len(said) // 20
    ran = min(
        (_played(board, None, said, frames) for _ in range(TRIES)), key=lambda ran: ran.seconds
    )
    rate = ran.sent / ran.seconds / 1e6
    name, asked = "echo through the driver, no byte lost", ">= 1 MB/s"
    fine = rate >= 1 and ran.sent == len(said)
    row: dict[str, Any] = {"section": "hil", "arch": arch}
    return Figure(**row, name=name, value=rate, unit="MB/s", asked=asked, ok=fine)
