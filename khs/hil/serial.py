"""What serial ports of partitions are joined to: `--serial PARTITION.DEVICE=URL`.

    -             this terminal
    file:IN       recorded input: all of it waits at the port from the beginning
    file:IN,OUT   and what the port sends goes to OUT; either may be left out
    URL           what pyserial opens: /dev/ttyUSB0, socket://host:port, rfc2217://host:port, loop://

Threads read and write, so that a run never waits for a peer. One that goes away, or takes nothing
any more, is told once, with the bytes that did not get there; the run goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from khs.engine.device import Fault
from khs.engine.lines import Line
from khs.errors import KhsError, shown

#: Bytes that may wait for a peer that does not take them.
PATIENCE = 1 << 20
_BAUD = 115200
_LOOK_S = 0.05

Say = Callable[[str], object]


class _Wire(Protocol):
    """One end of bytes; both functions raise OSError when the peer is gone."""

    def read(self) -> bytes:
        """Waits a moment; b"" if nothing came."""
        ...

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class FileLine:
    """Recorded input, and a file for what is sent."""

    live = False

    def __init__(self, name: str, spec: str) -> None:
        given, _, kept = spec.partition(",")
        self._out: BinaryIO | None = None
        try:
            self._waiting = Path(given).read_bytes() if given else b""
            if kept:
                self._out = Path(kept).open("wb")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise KhsError(f"{name}: {shown(error.filename)}: {error.strerror}") from error

    def take(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def put(self, data: bytes) -> None:
        if self._out is not None:
            try:
                self._out.write(data)
            except OSError as error:
                raise KhsError(f"{self._out.name}: cannot be written: {error.strerror}") from error

    def fault(self) -> Fault | None:
        return None

    def close(self) -> None:
        if self._out is not None:
            self._out.close()


class LiveLine:
    """A wire with somebody at its other end. `gone`: why there is nobody any more; `lost`: bytes
    that did not get there; `then`: what becomes of the port."""

    live = True

    def __init__(
        self, name: str, wire: _Wire, say: Say, then: str = "the run goes on without it"
    ) -> None:
        self._then = then
        self.gone = ""
        self.lost = 0
        self._fault: Fault | None = None
        self._name, self._wire, self._say = name, wire, say
        self._came, self._waiting = bytearray(), bytearray()
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True, name=f"khs {name}")
            for work in (self._read, self._write)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> bytes:
        with self._changed:
            data = bytes(self._came)
            self._came.clear()
        return data

    def put(self, data: bytes) -> None:
        with self._changed:
            if not self.gone and len(self._waiting) + len(data) > PATIENCE:
                self._lose("the peer takes no more bytes", Fault.LINE_FULL)
            if self.gone:
                self.lost += len(data)
                return
            self._waiting += data
            self._changed.notify_all()

    def fault(self) -> Fault | None:
        with self._changed:
            fault, self._fault = self._fault, None
        return fault

    def close(self) -> None:
        """What is still to be written has a moment for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(1.0)
        with contextlib.suppress(OSError):
            self._wire.close()
        with self._changed:
            self.lost += len(self._waiting)
            self._waiting.clear()
        if self.lost:
            self._say(f"{self._name}: {self.lost} bytes that it sent did not get there")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, EOFError) as error:
            with self._changed:
                self._lose(str(error) or type(error).__name__)

    def _lose(self, why: str, fault: Fault = Fault.LINE_LOST) -> None:
        if self.gone or self._closing:
            return
        self.gone, self._fault = why, fault
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._say(f"{self._name}: the line is gone, {self._then}: {why}")

    def _read(self) -> None:
        while not self._closing and not self.gone:
            data = self._wire.read()
            with self._changed:
                self._came += data

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing or self.gone)
                data = bytes(self._waiting)
                if not data or self.gone:
                    return
            self._wire.write(data)
            with self._changed:
                del self._waiting[: len(data)]


class _Terminal:
    """Standard input and output. The end of input is none of the line."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._ended = False

    def read(self) -> bytes:
        if self._ended:
            threading.Event().wait(_LOOK_S)
            return b""
        if not select.select([0], [], [], _LOOK_S)[0]:
            return b""
        data = os.read(0, 4096)
        self._ended = not data
        return data

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self._out.flush()

    def close(self) -> None:
        pass


class _Port:
    """A port of pyserial."""

    def __init__(self, port: Any, lost: type[Exception]) -> None:
        self._port, self._lost = port, lost

    def read(self) -> bytes:
        try:
            return bytes(self._port.read(max(self._port.in_waiting, 1)))
        except (self._lost, TypeError) as error:  # TypeError: closed meanwhile
            raise OSError(str(error)) from error

    def write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += self._step(data[done : done + 4096])

    def _step(self, data: bytes) -> int:
        try:
            return int(self._port.write(data) or 0)
        except self._lost as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        left = getattr(self._port, "_socket", None)  # pyserial leaves one whose peer is gone open
        self._port.close()
        if left is not None:
            left.close()


def _open_port(name: str, url: str) -> _Wire:
    try:
        import serial

        from khs.hil import handlers
    except ImportError as error:
        raise KhsError(
            f"--serial {name}={url}: pyserial is missing\n  help: pip install 'khs[hil]'"
        ) from error
    assert handlers  # khs://, too
    if url.startswith(("socket://", "rfc2217://")):
        _check_peer(name, url)
    try:
        port = serial.serial_for_url(url, baudrate=_BAUD, timeout=_LOOK_S, write_timeout=None)
    except (serial.SerialException, ValueError, OSError) as error:
        raise KhsError(
            f"--serial {name}={url}: {_reason(error)}\n"
            "  help: -, file:PATH, or what pyserial opens: /dev/ttyUSB0, socket://host:port"
        ) from error
    return _Port(port, serial.SerialException)


def _check_peer(name: str, url: str) -> None:
    """KhsError unless it has HOST:PORT."""
    try:
        parts = urlsplit(url)
        fine = bool(parts.hostname and parts.port)
    except ValueError:
        fine = False
    if not fine:
        kind = url.partition("://")[0]
        raise KhsError(
            f"--serial {name}={url}: no host with a port\n"
            f"  help: {kind}://HOST:PORT, a port from 1 to 65535"
        )


def _reason(error: Exception) -> str:
    """In the system's words where there are some: pyserial tells of errors as Python shows them."""
    numbers = (getattr(error, "errno", None), getattr(error.__context__, "errno", None))
    number = next((each for each in numbers if isinstance(each, int)), None)
    if number is None and isinstance(error.__context__, termios.error):
        number = error.__context__.args[0]
    if number == errno.ENOTTY:
        return "it is no serial port"
    return str(error) if number is None else os.strerror(number)


def _open(name: str, url: str, say: Say, out: BinaryIO) -> FileLine | LiveLine:
    if url.startswith("file:"):
        return FileLine(name, url.removeprefix("file:"))
    if url == "-":
        return LiveLine(name, _Terminal(out), say)
    return LiveLine(name, _open_port(name, url), say)


@contextlib.contextmanager
def opened(
    urls: Mapping[str, str], say: Say, out: BinaryIO | None = None
) -> Iterator[dict[str, Line]]:
    """Lines to all of them, closed afterwards; `say` is told of those that go away. KhsError if one
    cannot be opened."""
    lines: dict[str, FileLine | LiveLine] = {}
    try:
        for name, url in urls.items():
            lines[name] = _open(name, url, say, out or sys.stdout.buffer)
        yield dict(lines)
    finally:
        for line in lines.values():
            line.close()
