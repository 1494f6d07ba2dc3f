"""Looks in x86 and x64 code for what the host must never run.

    CODE-001  `lock bt/bts/btr/btc` on a register: an invalid instruction, which the CPU engine
              cannot translate.
    CODE-002  an x87 instruction whose result comes from the host's mathematics library, so that a
              run could differ from host to host.

The bytes of both occur in ordinary code, where one instruction ends in them and another begins,
or in a constant. So instructions are found by disassembly from the nearest symbol. A guest that
jumps into the middle of one to reach another is the engine's to stop: it stops before either, and
the guest gets the fault of an undefined instruction.

ARM code can hold neither.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

import capstone

from khs.config.model import Arch
from khs.errors import Finding
from khs.image.elf import Program

_LOCK = 0xF0
_IMMEDIATE = 0xBA  # bit tests with one
_INVALID = frozenset(["", "bt", "bts", "btr", "btc"])  # as the disassembler calls locked bit tests
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
    return list(islice(_findings(program, address, data), MAX_FINDINGS))


def _findings(program: Program, address: int, data: bytes) -> Iterator[Finding]:
    sweep = _Sweep(program, address, data)
    transcendental = ((m.start(), m.end()) for m in _TRANSCENDENTAL.finditer(data))
    locked = _locked_bit_tests(data, _PREFIXES[program.arch])
    places = heapq.merge(islice(transcendental, MAX_PLACES), islice(locked, MAX_PLACES))
    for start, end in places:
        name = sweep.mnemonic_at(address + start)
        if data[start] == _LOCK and name in _INVALID:
            yield _lock_bt(program, address + start, data[start:end])
        elif name in _MNEMONICS:
            yield _x87(program, address + start, name)


def _locked_bit_tests(data: bytes, prefixes: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Where a bit test of a register has a lock among the prefixes before it, within the length
    that an instruction can have."""
    for match in _BIT_TEST.finditer(data):
        end = match.end() + (data[match.start() + 1] == _IMMEDIATE)
        start = match.start()
        while start > max(0, end - _LONGEST) and data[start - 1] in prefixes:
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
        "register, which is no valid instruction",
        "lock takes a memory operand; data among code wants a symbol of its own",
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
