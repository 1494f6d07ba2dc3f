"""Backtraces by DWARF call frame information (.debug_frame), honest about stacks that are not to be
trusted: a frame is told only if the instruction before its address is a call."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from khs.config.model import Arch
from khs.debug.program import COUNTER, REGISTERS, STACK, Program, Read

#: Registers by DWARF's numbers, as `REGISTERS` calls them.
_DWARF = {
    Arch.ARMV7: REGISTERS[Arch.ARMV7][:16],
    Arch.X86: tuple("eax ecx edx ebx esp ebp esi edi eip".split()),
    Arch.X64: tuple("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()),
}
_WORD = {Arch.ARMV7: 4, Arch.X86: 4, Arch.X64: 8}
_CALLS = {Arch.ARMV7: ("bl ", "blx "), Arch.X86: ("call",), Arch.X64: ("call",)}
_MOST = 64  # frames


@dataclass(frozen=True, slots=True)
class Backtrace:
    """Addresses from the innermost frame out: of the instruction, then of those that follow the
    calls. `end`: why there are no more, "" where the program begins. `guessed`: the first of them
    is in no function, and the second called it if anybody did."""

    addresses: tuple[int, ...]
    end: str
    guessed: bool = False


class Unwinder:
    """Walks the stack of a program."""

    def __init__(self, program: Program) -> None:
        self._program, self._arch = program, program.arch
        self._entries = _entries(program.elf)

    def trace(self, registers: list[int], read: Read) -> Backtrace:
        """From these registers, in the order of `REGISTERS`."""
        arch = self._arch
        values: dict[str, int] = dict(zip(REGISTERS[arch], registers, strict=True))
        counter, stack = REGISTERS[arch][COUNTER[arch]], REGISTERS[arch][STACK[arch]]
        found = [values[counter]]
        guessed = self._program.function(found[0]) is None
        while len(found) < _MOST:
            here, sp = values[counter], values[stack]
            # The call may be the last instruction of its function.
            row = self._row(here if len(found) == 1 else here - 1)
            if row:
                caller = self._caller(values, row, read, len(found) > 1)
            else:
                caller = self._called(values, read) if len(found) == 1 else ""
            if isinstance(caller, str):
                return Backtrace(tuple(found), caller, guessed)
            if caller[stack] < sp or (caller[stack] == sp and len(found) > 1):
                return Backtrace(tuple(found), f"the stack goes in circles at {sp:#x}", guessed)
            address = caller[counter]
            if address == 0:
                return Backtrace(tuple(found), "", guessed)
            if not self._follows_call(address, read):
                return Backtrace(tuple(found), self._wrong(address), guessed)
            values = caller
            found.append(address)
        return Backtrace(tuple(found), f"there are more than {_MOST} frames", guessed)

    def _wrong(self, address: int) -> str:
        name = self._program.symbol(address)
        where = f"{address:#x} ({name})" if name else f"{address:#x}"
        what = "behind no call" if name else "in no function"
        return f"the next return address, {where}, lies {what}: the stack was overwritten"

    def _row(self, address: int) -> tuple[dict[Any, Any], Any] | None:
        """Rules for an address, and the entry that they are from."""
        for start, end, entry in self._entries:
            if start <= address < end:
                try:
                    table = entry.get_decoded().table
                except Exception:  # damaged, in one of pyelftools' many ways
                    return None
                rows = [row for row in table if row["pc"] <= address]
                return (rows[-1], entry) if rows else None
        return None

    def _caller(
        self, values: dict[str, int], found: tuple[dict[Any, Any], Any], read: Read, called: bool
    ) -> dict[str, int] | str:
        """The registers in the caller, or why they are not known. `called`: it has called since."""
        row, entry = found
        link = entry.cie["return_address_register"]
        if called and link not in row:
            return "it never returns, and does not keep who called it"
        names, size = _DWARF[self._arch], _WORD[self._arch]
        cfa = row["cfa"]
        if cfa.expr is not None or cfa.reg >= len(names):
            return "its frame is described in a way that is not understood here"
        base = (values[names[cfa.reg]] + cfa.offset) & (1 << 8 * size) - 1
        caller = {**values, REGISTERS[self._arch][STACK[self._arch]]: base}
        for number, rule in row.items():
            if not isinstance(number, int) or number >= len(names):
                continue
            if rule.type == "OFFSET":
                data = read(base + rule.arg, size)
                if len(data) < size:
                    return f"the stack at {base + rule.arg:#x} cannot be read"
                caller[names[number]] = int.from_bytes(data, "little")
            elif rule.type == "REGISTER" and rule.arg < len(names):
                caller[names[number]] = values[names[rule.arg]]
            elif rule.type == "UNDEFINED" and number == link:
                return ""
        caller[REGISTERS[self._arch][COUNTER[self._arch]]] = caller[names[link]]
        return caller

    def _called(self, values: dict[str, int], read: Read) -> dict[str, int] | str:
        """The caller of code that is described nowhere, if it was called a moment ago: where a
        wrong function pointer leads."""
        arch = self._arch
        stack, counter = REGISTERS[arch][STACK[arch]], REGISTERS[arch][COUNTER[arch]]
        if self._program.function(values[counter]):
            return "its frame is not described"
        if arch is Arch.ARMV7:
            return {**values, counter: values["lr"]}
        size = _WORD[arch]
        data = read(values[stack], size)
        if len(data) < size:
            return f"the stack at {values[stack]:#x} cannot be read"
        return {**values, counter: int.from_bytes(data, "little"), stack: values[stack] + size}

    def _follows_call(self, address: int, read: Read) -> bool:
        listed = self._program.listing(read, address, 1, 0)
        before = listed[0] if len(listed) > 1 else None
        if self._program.function(address) is None:  # behind the last instruction of one
            last = self._program.function(address - 1)
            code = self._program.listing(read, last[0], 0, 1 << 12) if last else []
            before = next((each for each in code if each.address + len(each.data) == address), None)
        return before is not None and before.text.startswith(_CALLS[self._arch])


def _entries(elf: bytes) -> list[tuple[int, int, Any]]:
    """(first address, end, entry) of all frames that are described."""
    return list(_described(elf))


def _described(elf: bytes) -> Iterator[tuple[int, int, Any]]:
    from elftools.dwarf.callframe import FDE
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(elf))
        dwarf = file.get_dwarf_info() if file.has_dwarf_info() else None
        entries = dwarf.CFI_entries() if dwarf is not None and dwarf.has_CFI() else []
        for entry in entries:
            # Functions that the linker left out are described as if they began at 0.
            if isinstance(entry, FDE) and entry["initial_location"]:
                start = entry["initial_location"]
                yield start, start + entry["address_range"], entry
    except Exception:  # damaged, in one of pyelftools' many ways
        return
