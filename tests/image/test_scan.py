"""Code that the host must never run is found, and ordinary code is left alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import capstone
import pytest

from khs.config.model import Arch, Right
from khs.errors import Finding
from khs.image import elf
from khs.image.elf import Program, Symbol
from khs.image.scan import MAX_FINDINGS, scan

BASE = 0x40000000
X86 = pytest.mark.parametrize("arch", [Arch.X86, Arch.X64], ids=["x86", "x64"])


def program(arch: Arch, *functions: tuple[int, str]) -> Program:
    symbols = tuple(Symbol(address, 0, name) for address, name in functions)
    return Program("guest.elf", arch, "", BASE, (), symbols)


def rules(arch: Arch, code: bytes, *functions: tuple[int, str]) -> list[str]:
    return [finding.rule for finding in scan(program(arch, *functions), BASE, code)]


LOCKED = [
    "f00fa3c8",  # lock bt eax, ecx
    "f00fabc8",  # lock bts
    "f00fb3d1",  # lock btr
    "f00fbbff",  # lock btc
    "f00fbae101",  # lock bt ecx, 1
    "f00fbae801",
    "f00fbaf001",
    "f00fbaff01",
    "66f00fb3d1",  # a prefix before
    "f0660fb3d1",  # and behind
    "f0f0f2f32e363e2664656766f00fa3c0",  # all of them
    "f0" * 14 + "0fa3c0",
]
HARMLESS = [
    "f00fb30a",  # lock btr [edx], ecx: memory is what it is for
    "f00fba2801",
    "0fb3d1",  # no lock
    "f0900fb3d1",  # the lock belongs to another instruction
    "89f00fabc8",  # mov eax, esi; bts eax, ecx
    "b8f00fb3d1",  # mov eax, 0xd1b30ff0
    "80c1f00fbae801",  # add cl, 0xf0; bts eax, 1
    "f0" + "66" * 12 + "0fb3d1",  # 16 bytes are no instruction
    "f00fbac001",  # no such operation
    "f00fc1c8",
]


@X86
@pytest.mark.parametrize("code", LOCKED)
def test_locked_bit_test_of_a_register(arch: Arch, code: str) -> None:
    assert rules(arch, bytes.fromhex(code)) == ["CODE-001"]


@X86
@pytest.mark.parametrize("code", HARMLESS)
def test_harmless_neighbours(arch: Arch, code: str) -> None:
    assert rules(arch, bytes.fromhex(code)) == []


def test_rex_prefixes_count_in_64_bit_code_only() -> None:
    code = bytes.fromhex("f0480fbae803")
    assert rules(Arch.X64, code) == ["CODE-001"]
    assert rules(Arch.X86, code) == [], "48 is dec eax there, which ends the lock's instruction"


@X86
@pytest.mark.parametrize("offset", range(12))
def test_found_at_every_offset(arch: Arch, offset: int) -> None:
    code = b"\x90" * offset + bytes.fromhex("f00fb3d1") + bytes(7)
    (finding,) = scan(program(arch, (BASE, "start")), BASE, code)
    assert finding.rule == "CODE-001"
    assert f"start+{offset:#x} ({BASE + offset:#x})" in finding.message
    assert "f0 0f b3 d1" in finding.message


@X86
def test_data_before_a_function_does_not_hide_a_lock(arch: Arch) -> None:
    """b8 begins an instruction that would swallow the function's first four bytes."""
    code = bytes.fromhex("b8" + "f00fb3d1" + "90" * 8)
    assert rules(arch, code) == []
    assert rules(arch, code, (BASE, "table"), (BASE + 1, "set")) == ["CODE-001"]


@X86
def test_agrees_with_a_disassembler(arch: Arch) -> None:
    """An instruction that capstone reads as a bit test is found with a lock before it if, and only
    if, it is one of a register."""
    rng = random.Random(f"lock-{arch.name}")
    mode = capstone.CS_MODE_64 if arch is Arch.X64 else capstone.CS_MODE_32
    engine = capstone.Cs(capstone.CS_ARCH_X86, mode)
    engine.detail = True
    seen = {True: 0, False: 0}
    prefixes = (0x66, 0x2E, 0x65, *((0x48, 0x41, 0x4C) if arch is Arch.X64 else ()))
    for _ in range(4000):
        opcode = rng.choice((0xA3, 0xAB, 0xB3, 0xBB, 0xBA))
        code = bytes(rng.choices(prefixes, k=rng.randint(0, 2)))
        code += bytes([0x0F, opcode, rng.randrange(256)]) + bytes(8)
        decoded = next(engine.disasm(code, 0, 1), None)
        if decoded is None or decoded.mnemonic not in ("bt", "bts", "btr", "btc"):
            continue
        on_register = decoded.operands[0].type == capstone.x86.X86_OP_REG
        seen[on_register] += 1
        assert rules(arch, b"\xf0" + code) == (["CODE-001"] if on_register else []), code.hex()
    assert min(seen.values()) > 500, seen


X87 = {"d9f0": "f2xm1", "d9f1": "fyl2x", "d9f2": "fptan", "d9f3": "fpatan", "d9f9": "fyl2xp1",
       "d9fb": "fsincos", "d9fe": "fsin", "d9ff": "fcos"}  # fmt: skip


@X86
@pytest.mark.parametrize("code", X87)
def test_x87_from_the_hosts_library(arch: Arch, code: str) -> None:
    findings = scan(program(arch, (BASE, "sine")), BASE, b"\x90\x90" + bytes.fromhex(code))
    assert [finding.rule for finding in findings] == ["CODE-002"]
    assert f"sine+0x2 ({BASE + 2:#x}) {X87[code]} would" in findings[0].message
    assert findings[0].file == "guest.elf" and findings[0].help


@X86
@pytest.mark.parametrize(
    "code",
    [
        "d9fa",  # fsqrt is exact
        "d9f8",  # so is fprem
        "d9e8",  # fld1
        "89d9ffd0",  # mov ecx, ebx; call eax
        "660f28d9f20f58c1",  # movapd xmm3, xmm1; addsd xmm0, xmm1
        "b8d9fe0000",  # mov eax, 0xfed9
    ],
)
def test_other_instructions_with_such_bytes(arch: Arch, code: str) -> None:
    assert rules(arch, bytes.fromhex(code), (BASE, "start")) == []


def test_data_before_a_function_does_not_hide_its_instructions() -> None:
    """b8 begins an instruction that would swallow the function's first four bytes."""
    code = bytes.fromhex("b8" + "d9fe" + "90" * 8)
    assert rules(Arch.X86, code) == []
    assert rules(Arch.X86, code, (BASE, "table"), (BASE + 1, "sine")) == ["CODE-002"]


def test_arm_code_is_not_looked_at() -> None:
    assert rules(Arch.ARMV7, bytes.fromhex("f00fb3d1d9fe0000")) == []


@X86
def test_findings_are_limited(arch: Arch) -> None:
    assert len(scan(program(arch), BASE, bytes.fromhex("f00fb3d1") * 1000)) == MAX_FINDINGS


@X86
@pytest.mark.parametrize("unit", ["f0", "f0660f", "83d9ff", "d9ff", "0fb3d1", "ff", "00"])
def test_hostile_code_takes_no_time(arch: Arch, unit: str) -> None:
    code = bytes.fromhex(unit) * 200_000
    start = time.process_time()
    scan(program(arch), BASE, code)
    assert time.process_time() - start < 2


@X86
def test_compiled_programs_pass(arch: Arch, compiled: Callable[[Arch], bytes]) -> None:
    found: list[Finding] = []
    read = elf.read(compiled(arch), arch, "small.elf")
    for segment in read.segments:
        if Right.X in segment.rights:
            found += scan(read, segment.address, segment.data)
    assert found == []
