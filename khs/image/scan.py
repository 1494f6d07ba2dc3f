"""Looks in x86 and x64 code for what the host must never run.

    CODE-001  `lock bt/bts/btr/btc` on a register: an invalid instruction on which the CPU engine
              aborts the whole host process. Refused at every offset, because a guest may jump
              into the middle of an instruction.
    CODE-002  an x87 instruction whose result comes from the host's mathematics library, so that a
              run could differ from host to host. Two bytes are too short a pattern to be refused
              wherever they occur (once in 7 KB of ordinary code), so instructions are found by
              disassembly from the nearest symbol. A guest that jumps into the middle of another
              instruction to reach one is the engine's to stop.

ARM code can hold neither.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

import capstone

from khs.config.model import Arch
from khs.errors import Finding
from khs.image.elf import Program

_LOCK = 0xF0
_PREFIXES = {
    Arch.X86: frozenset(bytes.fromhex("f0f2f366672e363e266465")),
    Arch.X64: frozenset(bytes.fromhex("f0f2f366672e363e266465") + bytes(range(0x40, 0x50))),
}
_BIT_TEST = re.compile(rb"\x0F(?:[\xA3\xAB\xB3\xBB][\xC0-\xFF]|\xBA[\xE0-\xFF])")
_MODES = {Arch.X86: capstone.CS_MODE_32, Arch.X64: capstone.CS_MODE_64}
_TRANSCENDENTAL = re.compile(rb"\xD9[\xF0-\xF3\xF9\xFB\xFE\xFF]")
_MNEMONICS = frozenset(["f2xm1", "fyl2x", "fptan", "fpatan", "fyl2xp1", "fsincos", "fsin", "fcos"])

#: Most findings of a program; more say nothing new.
MAX_FINDINGS = 20
#: Most places with the bytes of an x87 instruction that are looked at; more is no ordinary code.
MAX_PLACES = 4096
_CHUNK = 256
_LONGEST = 15


def scan(program: Program, address: int, data: bytes) -> list[Finding]:
    """Everything wrong with `data`, a contiguous executable range of `program` from `address`."""
    if program.arch is Arch.ARMV7:
        return []
    findings = [
        _lock_bt(program, address + start, data[start:end])
        for start, end in _locked_bit_tests(data, _PREFIXES[program.arch])
    ]
    sweep = _Sweep(program, address, data)
    for match in islice(_TRANSCENDENTAL.finditer(data), MAX_PLACES):
        place = address + match.start()
        if (name := sweep.mnemonic_at(place)) in _MNEMONICS:
            findings.append(_x87(program, place, name))
    return findings[:MAX_FINDINGS]


def _locked_bit_tests(data: bytes, prefixes: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Where a bit test of a register has a lock among the prefixes before it."""
    for match in _BIT_TEST.finditer(data):
        start = match.start()
        while start > 0 and data[start - 1] in prefixes:
            start -= 1
        lock = data.find(_LOCK, start, match.start())
        if lock >= 0:
            yield lock, match.end()


class _Sweep:
    """Linear disassembly, started afresh at every symbol; asked for ascending addresses."""

    def __init__(self, program: Program, address: int, data: bytes) -> None:
        self.base, self.data = address, data
        self.starts = [symbol.address for symbol in program.symbols]
        self.engine = capstone.Cs(capstone.CS_ARCH_X86, _MODES[program.arch])
        self.next = address
        self.last = ""

    def mnemonic_at(self, address: int) -> str:
        """The instruction that covers `address`; "" if it is none."""
        known = bisect_right(self.starts, address)
        if known:
            self.next = max(self.next, self.starts[known - 1])
        while self.next <= address:
            self._advance(address)
        return self.last

    def _advance(self, address: int) -> None:
        at = self.next - self.base
        chunk = self.data[at : at + _CHUNK + _LONGEST]
        before = self.next
        for start, size, mnemonic, _ in self.engine.disasm_lite(chunk, self.next):
            self.next, self.last = start + size, mnemonic
            if self.next > address:
                return
        if self.next == before:
            self.next, self.last = before + 1, ""


def _lock_bt(program: Program, address: int, found: bytes) -> Finding:
    return _finding(
        program,
        "CODE-001",
        f"at {program.place(address)} the bytes {found.hex(' ')} are a locked bit test of a "
        "register, which the CPU engine cannot survive",
        "no compiler means this instruction: if one instruction ends in f0 and a bit test "
        "follows, write the expression differently or compile the file with -O1",
    )


def _x87(program: Program, address: int, mnemonic: str) -> Finding:
    return _finding(
        program,
        "CODE-002",
        f"at {program.place(address)} {mnemonic} would be computed by the host's mathematics "
        "library, and differ from host to host",
        "use a software routine instead, such as the SDK compiler's own sin() and log()",
    )


def _finding(program: Program, rule: str, message: str, help: str) -> Finding:
    return Finding(rule, "error", program.file, 0, 0, message, help)
