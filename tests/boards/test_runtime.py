"""What the firmware's compiler calls without being asked (boards/firmware/common/runtime.c), run on
Unicorn: bytes of every alignment and length, and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random

import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from unicorn import arm_const, x86_const

from .conftest import BOARDS, firmware

DATA, STACK, BACK, SIZE = 0x3000_0000, 0x3100_0000, 0x3200_0000, 0x1000
SIZES = (*range(20), 24, 31, 32, 33, 40, 47, 48, 63, 64, 65, 72, 100, 128, 200, 257)

_MODES = {
    "sabrelite": (unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM),
    "q35": (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64),
    "pc": (unicorn.UC_ARCH_X86, unicorn.UC_MODE_32),
}
_ARM = ((arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1, arm_const.UC_ARM_REG_R2),)
#: Registers of three arguments, and the stack pointer. x86 is compiled with -mregparm=3.
_REGISTERS = {
    "sabrelite": (*_ARM, arm_const.UC_ARM_REG_SP),
    "q35": (
        (x86_const.UC_X86_REG_RDI, x86_const.UC_X86_REG_RSI, x86_const.UC_X86_REG_RDX),
        x86_const.UC_X86_REG_RSP,
    ),
    "pc": (
        (x86_const.UC_X86_REG_EAX, x86_const.UC_X86_REG_EDX, x86_const.UC_X86_REG_ECX),
        x86_const.UC_X86_REG_ESP,
    ),
}


@dataclass
class Code:
    """The firmware in memory, without a board around it."""

    board: str
    cpu: unicorn.Uc
    symbols: dict[str, int]

    def call(self, name: str, *arguments: int) -> None:
        registers, stack = _REGISTERS[self.board]
        for register, value in zip(registers, arguments, strict=False):
            self.cpu.reg_write(register, value)
        if self.board == "sabrelite":
            self.cpu.reg_write(arm_const.UC_ARM_REG_LR, BACK)
            self.cpu.reg_write(stack, STACK + SIZE)
        else:
            self.cpu.mem_write(STACK + SIZE - 64, BACK.to_bytes(8, "little"))
            self.cpu.reg_write(stack, STACK + SIZE - 64)
        self.cpu.emu_start(self.symbols[name], BACK, count=10_000)


@pytest.fixture(params=sorted(BOARDS))
def code(request: pytest.FixtureRequest) -> Code:
    cpu = unicorn.Uc(*_MODES[request.param])
    elf = ELFFile(BytesIO(firmware(request.param)))
    for segment in elf.iter_segments("PT_LOAD"):
        base = segment["p_vaddr"] & ~0xFFF
        cpu.mem_map(base, (segment["p_vaddr"] + segment["p_memsz"] - base + 0xFFF) & ~0xFFF)
        cpu.mem_write(segment["p_vaddr"], segment.data())
    for address in (DATA, STACK, BACK):
        cpu.mem_map(address, SIZE)
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    symbols = {each.name: each["st_value"] for each in table.iter_symbols()}
    return Code(request.param, cpu, symbols)


@pytest.mark.parametrize("size", SIZES)
def test_copies(code: Code, size: int) -> None:
    before = Random(size).randbytes(SIZE)
    for to in range(8):
        for source in range(8):
            code.cpu.mem_write(DATA, before)
            at, start = 1024 + to, 64 + source
            code.call("memcpy", DATA + at, DATA + start, size)
            expected = before[:at] + before[start : start + size] + before[at + size :]
            assert bytes(code.cpu.mem_read(DATA, SIZE)) == expected, (to, source)


#: How functions that fill are called, with which byte, and what they take for aligned (Run-time ABI
#: for the Arm Architecture, 4.3.4).
_FILLS: dict[str, tuple[Callable[[int], tuple[int, ...]], int, int]] = {
    "memset": (lambda size: (0xA5, size), 0xA5, 1),
    "__aeabi_memset": (lambda size: (size, 0x5A), 0x5A, 1),
    "__aeabi_memclr": (lambda size: (size,), 0, 1),
    "__aeabi_memclr4": (lambda size: (size,), 0, 4),
    "__aeabi_memclr8": (lambda size: (size,), 0, 8),
}


@pytest.mark.parametrize("size", SIZES)
def test_fills_and_clears(code: Code, size: int) -> None:
    before = Random(size).randbytes(SIZE)
    linked = [name for name in _FILLS if name in code.symbols]
    assert linked
    for name in linked:
        arguments, value, step = _FILLS[name]
        for to in range(0, 16, step):
            code.cpu.mem_write(DATA, before)
            at = 1024 + to
            code.call(name, DATA + at, *arguments(size))
            expected = before[:at] + bytes([value]) * size + before[at + size :]
            assert bytes(code.cpu.mem_read(DATA, SIZE)) == expected, (name, to)
