"""Breakpoints, watchpoints and `catch syscall`: Z z QCatchSyscalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from khs.debug.rsp.framing import MalformedError, number, numbers
from khs.debug.rsp.points import HARDWARE, SOFTWARE, WATCHES
from khs.debug.stops import Watch

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

#: Bytes of a watchpoint at most.
_WATCHED_MOST = 1 << 16


def _insert(session: Session, rest: bytes) -> bytes:
    kind, address, size = _point(rest)
    if kind in WATCHES:
        session.points.watch(session.general, Watch(address, size, WATCHES[kind]))
    elif kind in (SOFTWARE, HARDWARE):
        session.points.insert(session.general, kind, address)
    else:
        return b""
    return b"OK"


def _remove(session: Session, rest: bytes) -> bytes:
    kind, address, size = _point(rest)
    if kind in WATCHES:
        session.points.unwatch(session.general, Watch(address, size, WATCHES[kind]))
    elif kind in (SOFTWARE, HARDWARE):
        session.points.remove(session.general, kind, address)
    else:
        return b""
    return b"OK"


def _point(rest: bytes) -> tuple[int, int, int]:
    """Kind, address, size; conditions and commands are gdb's own business."""
    values = numbers(rest.partition(b";")[0])
    if len(values) != 3:
        raise MalformedError("a kind, an address and a size are wanted")
    kind, address, size = values
    if kind in WATCHES and not 0 < size <= _WATCHED_MOST:
        raise MalformedError(f"{size} bytes cannot be watched")
    return kind, address, size


def _catch(session: Session, rest: bytes) -> bytes:
    """It names no process: it is for all of them, and the last one counts."""
    if rest == b"0":
        session.points.catch(frozenset())
        return b"OK"
    how, *hexes = rest.split(b";")
    if how != b"1":
        raise MalformedError("QCatchSyscalls:0 or :1 is wanted")
    session.points.catch(frozenset(map(number, hexes)) if hexes else None)
    return b"OK"


HANDLERS = {b"Z": _insert, b"z": _remove, b"QCatchSyscalls:": _catch}
