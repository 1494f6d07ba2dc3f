"""Where a gdb is awaited: a TCP port, or a socket in the file system."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

from khs.errors import KhsError

LOOPBACK = "127.0.0.1"
#: Where to listen: a host and a port, 0 for any, or a socket's path.
Address = tuple[str, int] | Path
_FORMS = "1234, 0 for any port, or ./gdb.sock"


def address(text: str) -> Address:
    """[HOST:]PORT, of this machine alone without HOST, or the path of a socket, which has a slash
    in it; KhsError if it is none of them."""
    if "/" in text:
        return Path(text)
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or int(port) > 65535:
        raise KhsError(
            f"'{text}' is no [HOST:]PORT and no path of a socket\n  help: --gdb {_FORMS}"
        )
    return host or LOOPBACK, int(port)


def listen(address: Address) -> tuple[socket.socket, str]:
    """A socket that listens, and what gdb calls its address. KhsError if there is no such."""
    if isinstance(address, Path):
        listener = socket.socket(socket.AF_UNIX)
        try:
            return _bound(listener, str(address)), str(address)
        except (OSError, OverflowError) as error:
            raise _refused(str(address), *_at_path(address, error)) from error
    host, port = address
    shown = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        name = _bound(listener, place).getsockname()
    except (OSError, UnicodeError) as error:
        raise _refused(shown, *_at_port(host, port, error)) from error
    return listener, f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _bound(listener: socket.socket, place: Any) -> socket.socket:
    try:
        listener.bind(place)
        listener.listen(8)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _refused(shown: str, why: str, help: str) -> KhsError:
    return KhsError(f"gdb cannot be served at {shown}: {why}\n  help: {help}")


def _at_path(path: Path, error: Exception) -> tuple[str, str]:
    """Why not, and what would be right."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE and path.is_socket():
        return "there is such a socket", "another path; or remove it, if nobody listens there"
    if code == errno.EADDRINUSE:
        kind = "folder" if path.is_dir() else "file"
        return f"that is a {kind}, no socket", "a path where nothing is, such as ./gdb.sock"
    if code in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no folder {path.parent}", "a path in a folder that there is"
    why = str(error) if code is None else error.strerror  # type: ignore[attr-defined]
    return f"{why}", "another path, such as ./gdb.sock, or a port"


def _at_port(host: str, port: int, error: Exception) -> tuple[str, str]:
    """The same."""
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return f"there is no host '{host}'", f"a port of this machine alone: {port}"
    if code == errno.EADDRINUSE:
        return "the port is in use", f"another one, or {_FORMS}"
    if code == errno.EADDRNOTAVAIL:
        return "that is no address of this machine", f"{port}, for this machine alone"
    if code in (errno.EACCES, errno.EPERM):
        return "this user may not have that port", f"one from 1024 on, or {_FORMS}"
    return str(error), _FORMS
