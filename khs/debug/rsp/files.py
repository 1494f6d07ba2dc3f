"""vFile: gdb reads the partitions' programs from here; nothing else is there, all is read-only."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from khs.debug.rsp.framing import PACKET_MOST, MalformedError, escape, number, numbers, unhex
from khs.debug.rsp.systems import Systems

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

_NOT_FOUND, _BAD, _READ_ONLY, _MANY = 2, 9, 30, 24
_OPEN_MOST = 64
_ACCESS = 3  # of the flags: what is not 0 there writes
#: struct stat of the protocol: big endian; device, inode, mode, links, uid, gid, rdev, then size,
#: block size and blocks, and three times.
_STAT = struct.Struct(">7I3Q3I")
_REGULAR = 0o100444


class Files:
    """The programs as files: /SYSTEM/PARTITION.elf."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._open: dict[int, bytes] = {}

    def open(self, name: str, flags: int) -> bytes:
        data = self._systems.file(name)
        if data is None:
            return _error(_NOT_FOUND)
        if flags & _ACCESS:
            return _error(_READ_ONLY)
        if len(self._open) == _OPEN_MOST:
            return _error(_MANY)
        descriptor = next(n for n in range(_OPEN_MOST) if n not in self._open)
        self._open[descriptor] = data
        return b"F%x" % descriptor

    def close(self, descriptor: int) -> bytes:
        return _error(_BAD) if self._open.pop(descriptor, None) is None else b"F0"

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        data = self._open.get(descriptor)
        if data is None:
            return _error(_BAD)
        part = data[offset : offset + min(size, PACKET_MOST // 2)]
        return b"F%x;%b" % (len(part), escape(part))

    def stat(self, descriptor: int) -> bytes:
        data = self._open.get(descriptor)
        if data is None:
            return _error(_BAD)
        row = _STAT.pack(0, 0, _REGULAR, 1, 0, 0, 0, len(data), 512, -(-len(data) // 512), 0, 0, 0)
        return b"F%x;%b" % (len(row), escape(row))


def _error(code: int) -> bytes:
    return b"F-1,%x" % code


def _open(session: Session, rest: bytes) -> bytes:
    name, _, how = rest.partition(b",")
    flags = numbers(how)
    return session.files.open(unhex(name).decode("utf-8", "replace"), flags[0])


def _read(session: Session, rest: bytes) -> bytes:
    values = numbers(rest)
    if len(values) != 3:
        raise MalformedError("a descriptor, a size and an offset are wanted")
    return session.files.read(*values)


HANDLERS = {
    b"vFile:setfs:": lambda session, rest: b"F0",
    b"vFile:open:": _open,
    b"vFile:close:": lambda session, rest: session.files.close(number(rest)),
    b"vFile:pread:": _read,
    b"vFile:fstat:": lambda session, rest: session.files.stat(number(rest)),
}
