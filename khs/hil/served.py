"""Serial ports that others come to: `khs run --serve NAME`, and khs://NAME/PARTITION/DEVICE there.

The run listens on a socket in a folder that is this user's alone. Whoever connects says which port
in a line, PARTITION.DEVICE, and is answered `ok` or why not in another; then both are the port's
bytes. One peer at a time has a port, peers come and go.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from khs.engine.device import Fault
from khs.engine.lines import Line
from khs.errors import KhsError, shown
from khs.hil.serial import PATIENCE, LiveLine, Say

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOOK_S = 0.05
_GREETING_S = 5.0
_GREETING_MOST = 256


# ---- places ----------------------------------------------------------------


def place(name: str) -> Path:
    """The socket of a system that is served under a name. KhsError if there can be none."""
    if not _NAME.fullmatch(name):
        raise KhsError(
            f"--serve {name}: no name of a served system\n"
            "  help: letters, digits, dots, - and _: khs://NAME/PARTITION/DEVICE"
        )
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path("/tmp")
    folder = base / ("khs" if runtime else f"khs-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise KhsError(f"{shown(folder)}: {error.strerror}") from error
    is_mine = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
    if not is_mine or about.st_mode & 0o077:
        raise KhsError(
            f"{shown(folder)} is not this user's alone: no sockets are made there\n"
            "  help: remove it, or set XDG_RUNTIME_DIR"
        )
    return folder / f"{name}.serial"


def connect(url: str) -> socket.socket:
    """To the port of khs://NAME/PARTITION/DEVICE. KhsError if there is none, or it is taken."""
    parts = urlsplit(url)
    port = parts.path.strip("/").split("/")
    if parts.scheme != "khs" or len(port) != 2 or not all(port) or parts.query:
        raise KhsError(f"{url}: not of the form khs://SYSTEM/PARTITION/DEVICE")
    path = place(parts.netloc)
    line = socket.socket(socket.AF_UNIX)
    try:
        line.settimeout(_GREETING_S)
        line.connect(str(path))
        line.sendall(".".join(port).encode() + b"\n")
        answer = _line(line)
    except OSError as error:
        line.close()
        raise KhsError(
            f"no system {parts.netloc} is served here: {error.strerror or error}\n"
            f"  help: khs run SYSTEM --serve {parts.netloc}"
        ) from error
    if answer != "ok":
        line.close()
        raise KhsError(answer or f"{parts.netloc} has ended")
    return line


def _line(line: socket.socket) -> str:
    """Up to the line's end, and no byte of what comes behind."""
    text = b""
    while len(text) < _GREETING_MOST and (byte := line.recv(1)) not in (b"", b"\n"):
        text += byte
    return text.decode(errors="replace")


# ---- ports -----------------------------------------------------------------


class _Peer:
    """Somebody at the other end of a socket."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.settimeout(None)

    def read(self) -> bytes:
        if not select.select([self._line], [], [], _LOOK_S)[0]:
            return b""
        data = self._line.recv(65536)
        if not data:
            raise EOFError("the peer has left")
        return data

    def write(self, data: bytes) -> None:
        self._line.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()


class ServedLine:
    """A port that peers come to, one after the other. What is sent while there is none waits for
    the next, up to a MiB; `lost`: bytes that found no room."""

    live = True

    def __init__(self, name: str, say: Say) -> None:
        self.lost = 0
        self._name, self._say = name, say
        self._peer: LiveLine | None = None
        self._leaves = False
        self._going: list[threading.Thread] = []
        self._backlog = bytearray()
        self._changed = threading.Lock()

    def join(self, line: socket.socket) -> bool:
        """The line is the port's from now on; False if somebody has it already."""
        with self._changed:
            if self._peer is not None:
                return False
            line.sendall(b"ok\n")
            then = "another peer may come"
            self._peer = LiveLine(self._name, _Peer(line), self._say, then)
            self._peer.put(bytes(self._backlog))
            self._backlog.clear()
            return True

    def take(self) -> bytes:
        with self._changed:
            data = b"" if self._peer is None else self._peer.take()
            if self._leaves:
                self._let_go()
        return data

    def put(self, data: bytes) -> None:
        with self._changed:
            if self._peer is not None:
                self._peer.put(data)
                return
            kept = data[: PATIENCE - len(self._backlog)]
            self._backlog += kept
            self.lost += len(data) - len(kept)

    def fault(self) -> Fault | None:
        with self._changed:
            fault = None if self._peer is None else self._peer.fault()
            self._leaves |= fault is not None
        return fault

    def _let_go(self) -> None:
        """All that the peer said was taken. It may be slow to go."""
        if self._peer is not None:
            going = threading.Thread(target=self._peer.close, name=f"khs {self._name}")
            going.start()
            self._going.append(going)
        self._peer, self._leaves = None, False

    def close(self) -> None:
        with self._changed:
            self._let_go()
        for going in self._going:
            going.join()
        if self.lost:
            self._say(f"{self._name}: {self.lost} bytes that it sent found nobody")


# ---- listening -------------------------------------------------------------


class _Server:
    """Takes those who come to the port that they ask for."""

    def __init__(self, path: Path, name: str, lines: dict[str, ServedLine]) -> None:
        self._lines, self._name, self._path = lines, name, path
        self._closing = False
        self._listening = socket.socket(socket.AF_UNIX)
        try:
            self._bind()
        except OSError as error:
            self._listening.close()
            raise KhsError(f"--serve {name}: {shown(path)}: {error.strerror}") from error
        self._listening.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="khs serve")
        self._thread.start()

    def _bind(self) -> None:
        """In the place of a socket that a killed run left."""
        with socket.socket(socket.AF_UNIX) as known:
            if known.connect_ex(str(self._path)) == 0:
                self._listening.close()
                raise KhsError(
                    f"--serve {self._name}: a system is served under this name already\n"
                    "  help: another name"
                )
        self._path.unlink(missing_ok=True)
        self._listening.bind(str(self._path))

    def _accept(self) -> None:
        while not self._closing:
            if not select.select([self._listening], [], [], _LOOK_S)[0]:
                continue
            line, _ = self._listening.accept()
            threading.Thread(target=self._greet, args=(line,), daemon=True).start()

    def _greet(self, line: socket.socket) -> None:
        try:
            line.settimeout(_GREETING_S)
            wanted = _line(line)
            port = self._lines.get(wanted)
            if port is None:
                known = ", ".join(self._lines)
                line.sendall(f"there is no port {wanted}; there are {known}\n".encode())
            elif port.join(line):
                return
            else:
                line.sendall(f"somebody has {wanted} already\n".encode())
        except OSError:
            pass
        line.close()

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self._listening.close()
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def served(name: str, ports: Sequence[str], say: Say) -> Iterator[dict[str, Line]]:
    """Lines to whoever comes to the ports, PARTITION.DEVICE, of a system under this name. KhsError
    if that cannot be."""
    lines = {port: ServedLine(port, say) for port in ports}
    server = _Server(place(name), name, lines)
    for port in ports:
        say(f"served: khs://{name}/{port.replace('.', '/')}")
    try:
        yield dict(lines)
    finally:
        server.close()
        for line in lines.values():
            line.close()
