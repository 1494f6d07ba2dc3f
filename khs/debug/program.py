"""A partition's program as a debugger shows it: instructions with functions and source lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

import capstone

from khs.config.model import Arch
from khs.debug.inlined import InlinedCalls
from khs.debug.source import LineTable, Place
from khs.trace.symbols import functions

#: Bytes of memory from an address on, up to the first that is not mapped.
Read = Callable[[int, int], bytes]

_CAPSTONE = {
    Arch.ARMV7: (capstone.CS_ARCH_ARM, capstone.CS_MODE_ARM),
    Arch.X64: (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    Arch.X86: (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
}
#: Bytes that the longest instruction takes.
_LONGEST = {Arch.ARMV7: 4, Arch.X64: 15, Arch.X86: 15}
#: Names of the registers of `Target.registers`, in its order.
REGISTERS = {
    Arch.ARMV7: (*(f"r{n}" for n in range(13)), "sp", "lr", "pc", "cpsr"),
    Arch.X86: tuple("eax ecx edx ebx esp ebp esi edi eip eflags".split()),
    Arch.X64: tuple(
        "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags".split()
    ),
}
#: Where the program counter and the stack pointer stand among them.
COUNTER = {Arch.ARMV7: 15, Arch.X86: 8, Arch.X64: 16}
STACK = {Arch.ARMV7: 13, Arch.X86: 4, Arch.X64: 7}
#: Hexadecimal digits of an address.
DIGITS = {Arch.ARMV7: 8, Arch.X86: 8, Arch.X64: 16}


@dataclass(frozen=True, slots=True)
class Instruction:
    """`text` is "" where no instruction can be decoded: one byte (or word) of something else."""

    address: int
    data: bytes
    text: str
    place: Place | None
    function: str


@dataclass
class Program:
    """What the ELF of a partition tells. Nothing of it is trusted: what is damaged is not there."""

    arch: Arch
    elf: bytes = b""
    lines: LineTable = field(init=False)
    inlined: InlinedCalls = field(init=False)
    functions: list[tuple[int, int, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = LineTable(self.elf)
        self.inlined = InlinedCalls(self.elf)
        self.functions = functions(self.elf) if self.elf else []
        self._decoder = capstone.Cs(*_CAPSTONE[self.arch])

    def function(self, address: int) -> tuple[int, int, str] | None:
        """(first address, end, name) of the function around `address`."""
        at = bisect_right(self.functions, address, key=lambda row: row[0]) - 1
        if at < 0:
            return None
        start, size, name = self.functions[at]
        return (start, start + size, name) if address < start + max(size, 1) else None

    def symbol(self, address: int) -> str:
        """`main+0x14`, "" outside all functions."""
        found = self.function(address)
        if found is None:
            return ""
        offset = address - found[0]
        return f"{found[2]}+{offset:#x}" if offset else found[2]

    def find(self, text: str) -> list[int]:
        """Addresses of a function's name, `FILE:LINE`, or a number; [] if there is no such."""
        if named := [start for start, _, name in self.functions if name == text]:
            return named
        file, _, line = text.rpartition(":")
        if file and line.isdigit():
            return self.lines.addresses(file, int(line))[:1]
        try:
            return [int(text, 0)]
        except ValueError:
            return []

    def listing(self, read: Read, address: int, before: int, after: int) -> list[Instruction]:
        """The instruction at `address`, with so many before and after it. Those before it are
        known from its function's begin, on x86 from nowhere else."""
        earlier = self._before(read, address)[-before:] if before else []
        return earlier + self._decode(read, address, after + 1)

    def _before(self, read: Read, address: int) -> list[Instruction]:
        found = self.function(address)
        start = found[0] if found else address
        if self.arch is Arch.ARMV7:
            start = max(start, address - 4 * 64)
        known, at = [], start
        while at < address:
            decoded = [each for each in self._decode(read, at, 64) if each.address < address]
            known += decoded
            if not decoded:
                break
            at = decoded[-1].address + len(decoded[-1].data)
        return known if at == address else []

    def _decode(self, read: Read, address: int, count: int) -> list[Instruction]:
        data, at = read(address, count * _LONGEST[self.arch]), 0
        step = 4 if self.arch is Arch.ARMV7 else 1
        rows: list[Instruction] = []
        while len(rows) < count and at < len(data):
            here = address + at
            one = next(self._decoder.disasm_lite(data[at : at + 16], here, 1), None)
            size, text = (one[1], f"{one[2]} {one[3]}".strip()) if one else (step, "")
            found = self.function(here)
            name = found[2] if found else ""
            rows.append(Instruction(here, data[at : at + size], text, self.lines.place(here), name))
            at += size
        return rows
