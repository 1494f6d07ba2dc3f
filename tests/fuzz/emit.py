"""Machine code for guests that mostly make hypercalls: loads, the trap, jumps."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from tests.host.system import Arch

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10 = range(11)

#: Registers of a hypercall: the number, then the arguments.
NUMBER = {Arch.ARMV7: 7, Arch.X86: RAX, Arch.X64: RAX}
ARGUMENTS = {
    Arch.ARMV7: (0, 1, 2, 3, 4, 5),
    Arch.X86: (RBX, RCX, RDX, RSI, RDI, RBP),
    Arch.X64: (RDI, RSI, RDX, R10, R8, R9),
}
TRAP = {Arch.ARMV7: b"\x00\x00\x00\xef", Arch.X86: b"\xcd\x80", Arch.X64: b"\x0f\x05"}
#: Fills the space between cases; faults at once, wherever in it a guest arrives.
FILLER = {Arch.ARMV7: b"\xf0\x00\xf0\xe7", Arch.X86: b"\xcc", Arch.X64: b"\xcc"}


@dataclass(frozen=True)
class Word:
    """An argument that is the 32-bit word at this address."""

    address: int


def load(arch: Arch, register: int, value: int) -> bytes:
    """Puts `value` into a register; on x64 in as few bytes as it takes."""
    if arch is Arch.ARMV7:
        low = 0xE3000000 | (value >> 12 & 0xF) << 16 | register << 12 | value & 0xFFF
        if value >> 16 & 0xFFFF == 0:
            return struct.pack("<I", low)
        high = 0xE3400000 | (value >> 28 & 0xF) << 16 | register << 12 | value >> 16 & 0xFFF
        return struct.pack("<II", low, high)
    if value >> 32:
        return struct.pack("<BBQ", 0x48 | register >> 3, 0xB8 | register & 7, value)
    prefix = b"\x41" if register > 7 else b""
    return prefix + struct.pack("<BI", 0xB8 | register & 7, value)


def fetch(arch: Arch, register: int, address: int) -> bytes:
    """Puts the word at `address`, below 2^31, into a register."""
    if arch is Arch.ARMV7:
        return load(arch, register, address) + struct.pack(
            "<I", 0xE5900000 | register << 16 | register << 12
        )
    if arch is Arch.X86:
        return struct.pack("<BBI", 0x8B, 0x05 | register << 3, address)
    prefix = b"\x44" if register > 7 else b""
    return prefix + struct.pack("<BBBI", 0x8B, 0x04 | (register & 7) << 3, 0x25, address)


def increment(arch: Arch, address: int) -> bytes:
    """Adds one to the word at `address`; spoils two registers on ARM."""
    if arch is Arch.ARMV7:
        return load(arch, 0, address) + struct.pack("<3I", 0xE5901000, 0xE2811001, 0xE5801000)
    if arch is Arch.X86:
        return b"\xff\x05" + struct.pack("<I", address)
    return b"\xff\x04\x25" + struct.pack("<I", address)


def hypercall(arch: Arch, number: int, *arguments: int | Word) -> bytes:
    """Loads the registers and traps."""
    code = b""
    for register, value in zip(ARGUMENTS[arch], arguments, strict=False):
        if isinstance(value, Word):
            code += fetch(arch, register, value.address)
        else:
            code += load(arch, register, value)
    return code + load(arch, NUMBER[arch], number) + TRAP[arch]


def filled(arch: Arch, code: bytes, size: int) -> bytes:
    """`code`, then what faults."""
    return code + FILLER[arch] * ((size - len(code)) // len(FILLER[arch]))


def jump_back(arch: Arch, distance: int) -> bytes:
    """Jumps to `distance` bytes before this instruction."""
    if arch is Arch.ARMV7:
        return struct.pack("<I", 0xEA000000 | (-distance // 4 - 2) & 0xFFFFFF)
    return b"\xe9" + struct.pack("<i", -distance - 5)


def forever(arch: Arch, once: Iterable[bytes], again: Iterable[bytes]) -> bytes:
    """`once`, then `again` and again."""
    body = b"".join(again)
    return b"".join(once) + body + jump_back(arch, len(body))


def dispatch(arch: Arch, counter: int, cases: int, size: int, base: int) -> bytes:
    """Jumps to the case at base + (word at `counter` mod cases) * size; both are powers of two."""
    shift = size.bit_length() - 1
    if arch is Arch.ARMV7:
        code = fetch(arch, 1, counter) + load(arch, 2, cases - 1)
        code += struct.pack("<I", 0xE0011002) + load(arch, 2, base)  # and r1, r1, r2
        return code + struct.pack("<I", 0xE082F001 | shift << 7)  # add pc, r2, r1, lsl
    code = fetch(arch, RAX, counter) + b"\x25" + struct.pack("<I", cases - 1)
    code += bytes([0xC1, 0xE0, shift]) + b"\x05" + struct.pack("<I", base)
    return code + b"\xff\xe0"
