"""The x86 length decoder and the load-time scan, against another disassembler and by example."""

from __future__ import annotations

import random

import capstone
import pytest

from khs.engine.native import scan, x86_length
from tests.host.system import Arch

# Never carried out in user mode on this CPU, so that their length does not matter: control and
# debug registers (QEMU ignores how they address), later CPUs' vector instructions, other makers'.
ELSEWHERE = {"ud0", "ud1", "montmul", "xstore", "xsha1", "xsha256"}
# QEMU follows AMD: an operand size prefix shortens a jump also in 64-bit mode.
JUMPS = ("j", "call", "ret", "loop")


def samples(count: int) -> list[bytes]:
    rng = random.Random(1)
    prefixes = [b"", b"", b"\x66", b"\x67", b"\xf2", b"\xf3", b"\x2e"]
    opcodes = [b"", b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a", b"\xd9"]
    return [rng.choice(prefixes) + rng.choice(opcodes) + rng.randbytes(15) for _ in range(count)]


def comparable(code: bytes, name: str, operands: str, bits: int) -> bool:
    if name in ELSEWHERE or name.startswith(("v", "xcrypt", "k")):
        return False
    if name == "mov" and any(f"{kind}{n}" in operands for kind in ("cr", "dr") for n in range(16)):
        return False
    rex = [at for at, byte in enumerate(code[:4]) if byte & 0xF0 == 0x40]
    late_prefix = (
        bits == 64 and rex and code[rex[0] + 1] in b"\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65"
    )
    return not late_prefix and not (bits == 64 and code[0] == 0x66 and name.startswith(JUMPS))


@pytest.mark.parametrize("bits", [32, 64])
def test_lengths(bits: int) -> None:
    other = capstone.Cs(
        capstone.CS_ARCH_X86, {32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}[bits]
    )
    compared = 0
    for code in samples(40_000):
        decoded = next(other.disasm_lite(code, 0), None)
        if decoded is None:
            continue
        _, size, name, operands = decoded
        if comparable(code, name, operands, bits):
            assert x86_length(code, bits) == size, f"{code.hex()} {name} {operands}"
            compared += 1
    assert compared > 20_000


@pytest.mark.parametrize("bits", [32, 64])
def test_cut_off_instructions_have_no_length(bits: int) -> None:
    for code in samples(2_000):
        size = x86_length(code, bits)
        assert all(x86_length(code[:cut], bits) == 0 for cut in range(size))
        assert x86_length(code[:size], bits) == size


ABORTS = [
    "f00fa3d1",
    "f00fabc0",
    "f00fb3d1",
    "f00fbbff",
    "f00fbae001",
    "f0660fabd1",
    "f0f0f30fb3c8",
]
FINE = [
    "f00fab0e",
    "f00fba2801",
    "0fabd1",
    "f00fb1c8",
    "f04801d8",
    "f00fc7c8",
    "f0",
    "f00f",
    "f00fab",
]


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_scan(arch: Arch) -> None:
    for text in ABORTS:
        for before in (b"", b"\x90" * 37, b"\xb8\x31"):
            code = bytes.fromhex(text)
            assert scan(arch, before + code + b"\x90") == len(before), text
            assert scan(Arch.ARMV7, before + code) is None
    for text in FINE:
        assert scan(arch, b"\x90" + bytes.fromhex(text)) is None, text
    rex = bytes.fromhex("f0480fabd1")
    assert scan(arch, rex) == (0 if arch is Arch.X64 else None)
