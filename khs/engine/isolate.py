"""Guests in a child process under a seccomp filter; khs/host/isolate.c is the child's side."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

from khs.engine.interrupt import on_interrupt
from khs.engine.native import NOT_CONFINED, Drained, End, Host, check_boot
from khs.engine.structures import Ending, Status, View
from khs.errors import EngineError

_HEADER, _U64 = struct.Struct("<II"), struct.Struct("<Q")
_EVENTS, _END, _PROGRESS = 1, 2, 3


def run_isolated(
    host: Host,
    goal: tuple[int, int],
    take: Callable[[Drained], None],
    reached: Callable[[int], None],
    stop: Callable[[], None],
    stopped: Callable[[], bool],
) -> tuple[End, Status, list[View]]:
    """Boots and runs `host` in a child, to its `goal`: so many frames, or a tick before their end;
    `take` gets the events, after which `stopped` tells whether to stop; `reached` gets now and then
    the number of major frames completed. Ctrl-C calls `stop`.

    Raises EngineError if the child cannot be confined, dies, or the system does not boot.
    """
    child, stream = _fork(host, goal)

    def interrupt() -> None:
        stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGINT)

    ending = b""
    try:
        with on_interrupt(interrupt), stream:
            for kind, data in _packets(stream, host.packet_most()):
                if kind == _END:
                    ending = data
                    break
                if kind == _PROGRESS:
                    reached(*_U64.unpack(data))
                else:
                    take(host.split(data))
                if stopped():
                    interrupt()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == NOT_CONFINED:
        raise EngineError("--isolate: this machine has no seccomp filters")
    if status or not ending:
        raise EngineError(f"the confined process died ({_how(status)})")
    return _decode(ending, host.partitions)


def _fork(host: Host, goal: tuple[int, int]) -> tuple[int, BinaryIO]:
    reading, writing = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Threads do not matter: the child runs nothing but the library.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            host.serve(*goal, writing, parent)
        finally:
            os._exit(1)
    os.close(writing)
    return child, os.fdopen(reading, "rb", buffering=1 << 20)


def _packets(stream: BinaryIO, most: int) -> Iterator[tuple[int, bytes]]:
    """Whole packets; a child that dies may leave a part of one. Nothing that it writes is
    believed: guests may have taken it over."""
    while len(head := stream.read(_HEADER.size)) == _HEADER.size:
        kind, size = _HEADER.unpack(head)
        if not _is_sound(kind, size, most):
            raise EngineError("the confined process wrote nonsense")
        data = stream.read(size)
        if len(data) < size:
            return
        yield kind, data


def _is_sound(kind: int, size: int, most: int) -> bool:
    return size == _U64.size if kind == _PROGRESS else kind in (_EVENTS, _END) and size <= most


def _decode(data: bytes, partitions: int) -> tuple[End, Status, list[View]]:
    size = ctypes.sizeof(Ending)
    if len(data) != size + partitions * ctypes.sizeof(View):
        raise EngineError("the confined process wrote nonsense")
    ending = Ending.from_buffer_copy(data)
    check_boot(ending.boot_status)
    views = (View * partitions).from_buffer_copy(data, size)
    return End(ending.end), ending.status, list(views)


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
