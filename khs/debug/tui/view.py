"""What a system looks like where it stands: taken in one go by the thread that moves it, so that
the screen never waits for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from khs.config.model import Arch
from khs.debug.program import COUNTER, REGISTERS, STACK, Instruction, Program
from khs.debug.registers import BY_ARCH
from khs.debug.stops import Position, Stop
from khs.debug.target import Target
from khs.trace.kinds import Mode

#: Instructions before and after the next one, and bytes of memory, that a view holds.
_BEFORE, _AFTER, _MEMORY = 24, 40, 1024
#: Registers of floating point and vectors.
_FLOATS = frozenset(("fpscr", "mxcsr", "fctrl", "fstat"))
_FLOAT = re.compile(r"(d|st|xmm)\d+")


@dataclass(frozen=True, slots=True)
class PartitionView:
    """`waits`: number of the hypercall that it waits in."""

    name: str
    mode: Mode
    waits: int | None
    halted: bool
    hypercalls: int
    denied: int
    faults: int
    missed: int


@dataclass(frozen=True, slots=True)
class CodeView:
    """The partition that is looked into. `registers`: name, value, and whether it is another one
    than at the view before; `floats`: those of floating point and vectors, name and bytes, lowest
    first; `memory` from `address` on, up to what is not mapped."""

    partition: int
    registers: tuple[tuple[str, int, bool], ...]
    floats: tuple[tuple[str, bytes], ...]
    counter: int | None
    instructions: tuple[Instruction, ...]
    address: int
    memory: bytes


@dataclass(frozen=True, slots=True)
class View:
    """`frames`: major frames that are complete."""

    position: Position
    stop: Stop
    running: int | None
    frames: int
    schedule: int
    partitions: tuple[PartitionView, ...]
    code: CodeView


class Looker:
    """Takes views of a target. `address`: where memory is shown from, None for the stack."""

    def __init__(self, target: Target, programs: Sequence[Program]) -> None:
        self._target = target
        self._programs = programs
        self._arch = Arch[target.arch.upper()]
        self._registers: dict[int, list[int]] = {}
        self._seen: Position | None = None
        self._before: dict[int, list[int]] = {}

    def look(self, partition: int | None, address: int | None) -> View:
        """`partition`: whose code, registers and memory; None for the one that runs."""
        target = self._target
        if self._seen != target.position:
            self._seen, self._before = target.position, dict(self._registers)
        running, status = target.running(), target.status()
        shown = partition if partition is not None else running if running is not None else 0
        return View(
            target.position,
            target.stop,
            running,
            status.frames,
            status.schedule,
            tuple(self._partition(number) for number in range(len(target.names))),
            self._code(shown, address),
        )

    def _partition(self, number: int) -> PartitionView:
        view = self._target.view(number)
        waits = None if view.blocked == 0xFFFF_FFFF else int(view.blocked)
        return PartitionView(
            self._target.names[number],
            Mode(view.mode),
            waits,
            bool(view.halted),
            int(view.hypercalls),
            int(view.denied),
            int(view.faults),
            int(view.deadlines_missed),
        )

    def _code(self, partition: int, address: int | None) -> CodeView:
        target, arch = self._target, self._arch
        values = target.registers(partition)
        before = self._before.get(partition, values)
        self._registers[partition] = values
        names = REGISTERS[arch]
        registers = tuple(
            (name, now, now != then) for name, now, then in zip(names, values, before, strict=False)
        )
        if not values:
            return CodeView(partition, (), (), None, (), address or 0, b"")
        counter = values[COUNTER[arch]]
        start = (values[STACK[arch]] if address is None else address) & ~0xF

        def read(where: int, size: int) -> bytes:
            return target.read(partition, where, size)

        listing = self._programs[partition].listing(read, counter, _BEFORE, _AFTER)
        memory = read(start, _MEMORY)
        floats = tuple(
            (name, value)
            for name in BY_ARCH[target.arch]
            if (name in _FLOATS or _FLOAT.fullmatch(name))
            and (value := target.read_register(partition, name)) is not None
        )
        return CodeView(partition, registers, floats, counter, tuple(listing), start, memory)
