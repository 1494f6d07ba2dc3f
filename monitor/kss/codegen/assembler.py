"""Builds one program: instructions, forward jumps, registers."""

from __future__ import annotations

from dataclasses import dataclass, field

from kss.binary import REGISTERS, Instruction, Op
from kss.errors import DescriptionError, Finding, KssError, Location


class TooComplexError(KssError):
    """A policy needs more than policy.bin can hold."""


@dataclass
class Assembler:
    """`at` is the place in the policy that is being compiled."""

    at: Location
    code: list[Instruction] = field(default_factory=list)
    registers: int = 0
    extent: int = 0  # bytes of the message's constant part that are read
    writes: int = 0  # most words of state changed
    calls: int = 0  # most rules called
    notes: set[int] = field(default_factory=set)  # sites that notes are taken about

    def emit(self, op: Op, d: int = 0, a: int = 0, b: int = 0, x: int = 0, imm: int = 0) -> None:
        self.code.append(Instruction(op, d, a, b, x, imm & 0xFFFFFFFFFFFFFFFF))

    def use(self, register: int) -> int:
        """Claims a register; raises DescriptionError if there is none of this number."""
        if register >= REGISTERS:
            message = f"an expression needs more than {REGISTERS} registers"
            help = "split it into several rules: all of them must grant"
            at = (self.at.file, self.at.line, self.at.column)
            raise DescriptionError([Finding("PSL-040", "error", *at, message, help, "")])
        self.registers = max(self.registers, register + 1)
        return register

    def jump(self, op: Op, register: int = 0) -> int:
        """A forward jump; `land` sets its target."""
        self.emit(op, a=register)
        return len(self.code) - 1

    def land(self, jump: int) -> None:
        """The next instruction is the target of the jump."""
        self.code[jump] = self.code[jump]._replace(x=len(self.code) - jump)

    def rule(self, register: int, site: int) -> None:
        self.emit(Op.RULE, a=register, x=site)
        self.calls += 1

    def mark(self, site: int) -> None:
        """Failures above are charged to the site."""
        self.emit(Op.MARK, x=site)
        self.calls += 1

    def note(self, register: int, site: int) -> None:
        """Notes a value for the audit record: an expression's, or the state a rule is called in."""
        self.notes.add(site)
        self.emit(Op.NOTE, a=register, x=site)

    def end(self) -> tuple[Instruction, ...]:
        """The whole program. Notes are numbered in the order of their sites."""
        self.emit(Op.END)
        numbers = {site: number for number, site in enumerate(sorted(self.notes))}
        return tuple(
            each._replace(imm=numbers[each.x]) if each.op == Op.NOTE else each for each in self.code
        )
