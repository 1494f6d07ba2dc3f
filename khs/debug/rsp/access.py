"""Registers and memory: g G p P m M X qCRC."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from khs.debug.rsp.framing import PACKET_MOST, MalformedError, number, numbers, unhex
from khs.debug.rsp.registers import CALL_NUMBER, Layout, Register, layout
from khs.debug.rsp.world import Process, World
from khs.debug.stops import Cause

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

_CALLS = (Cause.CALL, Cause.RETURN)
_CRC_PIECE = 1 << 16
#: Every byte with its bits in the other order.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def layout_of(world: World, process: Process) -> Layout:
    return layout(world.targets[process.system].arch)


def value(world: World, process: Process, row: Register, core: list[int]) -> bytes | None:
    """A register's bytes; `core`: what `Target.registers` tells of the partition. None if it has
    no such, or no processor yet."""
    if row.name in CALL_NUMBER:
        stop = world.halt.stop
        here = (world.halt.system, stop.partition) == (process.system, process.partition)
        called = stop.number if here and stop.cause in _CALLS else None
        return (-1 if called is None else called).to_bytes(row.size, "little", signed=True)
    if row.core is not None and row.core < len(core):
        return (core[row.core] & ((1 << row.bits) - 1)).to_bytes(row.size, "little")
    found = world.targets[process.system].read_register(process.partition, row.name)
    return None if found is None else found[: row.size].ljust(row.size, b"\0")


def shown(row: Register, data: bytes | None) -> bytes:
    """In hexadecimal digits; x where there is no value."""
    return b"xx" * row.size if data is None else data.hex().encode()


def core(world: World, process: Process) -> list[int]:
    return world.targets[process.system].registers(process.partition)


def _read_all(session: Session, rest: bytes) -> bytes:
    world, process = session.world, session.general
    known = core(world, process)
    rows = layout_of(world, process).general
    return b"".join(shown(row, value(world, process, row, known)) for row in rows)


def _write_all(session: Session, rest: bytes) -> bytes:
    data, at = unhex(rest), 0
    rows = layout_of(session.world, session.general).general
    if len(data) != sum(row.size for row in rows):
        raise MalformedError("G has not the size of all registers")
    known = core(session.world, session.general)
    for row in rows:
        part = data[at : at + row.size]
        at += row.size
        if part != value(session.world, session.general, row, known):
            _write(session, row, part)
    return b"OK"


def _read_one(session: Session, rest: bytes) -> bytes:
    row = _register(session, number(rest))
    known = core(session.world, session.general) if row.core is not None else []
    return shown(row, value(session.world, session.general, row, known))


def _write_one(session: Session, rest: bytes) -> bytes:
    which, _, digits = rest.partition(b"=")
    row, data = _register(session, number(which)), unhex(digits)
    if len(data) != row.size:
        raise MalformedError(f"{row.name} has {row.size} bytes")
    _write(session, row, data)
    return b"OK"


def _register(session: Session, which: int) -> Register:
    row = layout_of(session.world, session.general).register(which)
    if row is None:
        raise MalformedError(f"there is no register {which}")
    return row


def _write(session: Session, row: Register, data: bytes) -> None:
    if row.name in CALL_NUMBER:
        return  # gdb writes it back after a call that it made
    process = session.general
    session.world.targets[process.system].write_register(process.partition, row.name, data)


def _read_memory(session: Session, rest: bytes) -> bytes:
    address, size = _range(rest)
    process = session.general
    target = session.world.targets[process.system]
    data = target.read(process.partition, address, min(size, PACKET_MOST // 2))
    if size and not data:
        raise MalformedError(f"{process.label} has no memory at {address:#x}")
    return data.hex().encode()


def _write_memory(session: Session, rest: bytes) -> bytes:
    place, _, digits = rest.partition(b":")
    return _store(session, place, unhex(digits))


def _write_binary(session: Session, rest: bytes) -> bytes:
    place, _, data = rest.partition(b":")
    return _store(session, place, data)


def _store(session: Session, place: bytes, data: bytes) -> bytes:
    address, size = _range(place)
    if size != len(data):
        raise MalformedError(f"{len(data)} bytes came, {size} were announced")
    process = session.general
    target = session.world.targets[process.system]
    done = target.write(process.partition, address, data) if size else 0
    if done == size:
        return b"OK"
    at = address + done
    if target.read(process.partition, at, 1):
        raise MalformedError(
            f"{at:#x} is read-only in {process.label}: text and constants are never written"
        )
    raise MalformedError(f"{process.label} has no memory at {at:#x}")


def _crc(session: Session, rest: bytes) -> bytes:
    """qCRC, for `compare-sections`: CRC-32 with the highest bit first, and not inverted at the end
    (Debugging with GDB, General Query Packets). zlib's has the lowest first, and is."""
    address, size = _range(rest)
    process = session.general
    target = session.world.targets[process.system]
    crc, at = 0, address
    while at < address + size:
        data = target.read(process.partition, at, min(_CRC_PIECE, address + size - at))
        if not data:
            raise MalformedError(f"{process.label} has no memory at {at:#x}")
        crc = zlib.crc32(data.translate(_MIRRORED), crc)
        at += len(data)
    return b"C%x" % int(f"{crc ^ 0xFFFFFFFF:032b}"[::-1], 2)


def _range(text: bytes) -> tuple[int, int]:
    values = numbers(text)
    if len(values) != 2 or sum(values) > 1 << 64:
        raise MalformedError("an address and a length are wanted")
    return values[0], values[1]


HANDLERS = {
    b"g": _read_all,
    b"G": _write_all,
    b"p": _read_one,
    b"P": _write_one,
    b"m": _read_memory,
    b"M": _write_memory,
    b"X": _write_binary,
    b"qCRC:": _crc,
}
