"""The course of a run: taken forwards to stops, and to any point of it, with what was changed on
the way. Going back is going to a moment that was kept, and forwards from there.

    course = Course(machine, frames)
    course.forward(until)     to the first stop
    course.go_to(position)    either direction
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from khs.debug.registers import BY_ARCH, Register
from khs.debug.snapshots import BUDGET_BYTES, Moments
from khs.engine.changes import BEGIN, MODE, Change, Position
from khs.engine.log import Log
from khs.engine.native import NEVER, NONE
from khs.engine.stepping import Cause, Move, Stepper, goal
from khs.engine.structures import Halt
from khs.engine.unicorn import Machine
from khs.errors import EngineError


class Course:
    """A booted system and where it stands."""

    def __init__(
        self,
        machine: Machine,
        arch: str,
        frames: int,
        budget: int = BUDGET_BYTES,
        changes: Sequence[Change] = (),
    ) -> None:
        self.machine, self.host, self.frames = machine, machine.host, frames
        self.stepper = Stepper(machine.host)
        self.log = Log()
        self.moments = Moments(self.stepper, machine.devices, budget)
        self.changes = list(changes)  # those to come, too
        self.position = BEGIN
        #: Somebody asked for a stop while it went past all stops.
        self.asked = threading.Event()
        #: Records from the first to stop behind, when that was found.
        self.found = b""
        self._registers = BY_ARCH[arch]
        self._applied = 0
        self._next = NEVER  # tick at which a moment is to be kept
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self.host.boot()
        self._run(0, Position(0, False), NONE, Move.PASSING)
        self._keep()
        self._apply()

    def close(self) -> None:
        self.moments.close()
        self.machine.close()
        self.log.close()

    # ------------------------------------------------------------ moving

    def forward(self, until: int = NEVER, steps: int = NONE, move: Move = Move.STOPPING) -> Halt:
        """To the first stop or to a tick, whichever comes first. What happens on the way to go on
        from is none."""
        start = self.position
        self.moments.resume(start)
        while True:
            limit, here = self._stage(until, move)
            halt = self._run(limit, start, steps, here)
            if self.position.tick >= self._next or self.moments.is_due():
                self._keep()
            self._apply()
            on_the_way = halt.cause == Cause.REACHED and halt.tick < until
            held = halt.cause == Cause.HELD and not move & Move.HOLDING
            if not on_the_way and not held:
                return halt
            if held:
                start = max(start, self.position)

    def _stage(self, until: int, move: Move) -> tuple[int, Move]:
        """How far it can go without passing a change or a moment to keep, and how."""
        self._next = self.moments.next(self.position)
        until = min(until, max(self._next, self.position.tick + 1))
        if self._applied == len(self.changes):
            return until, move
        change = self.changes[self._applied].position
        if change.settled:
            return min(until, change.tick), move
        if self.position < Position(change.tick - 1):
            return min(until, change.tick - 1), move
        return min(until, change.tick), move | Move.HOLDING

    def _run(self, until: int, start: Position, steps: int, move: Move) -> Halt:
        wanted = goal(self.frames, until, (start.tick, start.settled), steps, move)
        while True:
            halt = self.stepper.run(wanted)
            self._drain(halt)
            self.machine.devices.check_models()
            if halt.cause == Cause.INTERRUPT and move & Move.PASSING:
                self.asked.set()
            elif not halt.cause and self.moments.is_due():
                wanted.until = min(until, self.host.status().tick)
            elif halt.cause:
                self.position = Position(halt.tick, bool(halt.settled))
                return halt

    def _drain(self, halt: Halt) -> None:
        batch = self.stepper.drain()
        if batch.count:
            self.log.add(batch)
        if halt.found != NEVER:
            self.found = batch.records[halt.found :]

    def go_to(self, position: Position) -> Halt | None:
        """There, or to the end if that comes before; None if it stands there."""
        moment = self.moments.latest(position)
        if position < self.position or self.position < moment.position:
            self._restore(position)
        halt = None
        if not position.settled and self.position < Position(position.tick - 1):
            halt = self.forward(position.tick - 1, move=Move.PASSING)
        if self.position < position and not (halt and halt.cause == Cause.END):
            move = Move.PASSING if position.settled else Move.PASSING | Move.HOLDING
            halt = self.forward(position.tick, move=move)
        return halt

    # ------------------------------------------------------------ moments

    def _keep(self) -> None:
        """Between two ticks alone."""
        if self.position.settled:
            self.moments.keep(self.position, self.log.here, self._applied)

    def _restore(self, position: Position) -> None:
        moment = self.moments.restore(position)
        self.position, self._applied = moment.position, moment.changes
        self.log.go(moment.mark)
        self._apply()

    def pages(self) -> list[tuple[int, int, bytes]]:
        """Memory and the kernel's state here, as far as they are not as in the beginning."""
        snapshot = self.stepper.snapshot()
        pages = list(self.stepper.pages(snapshot))
        self.stepper.forget(snapshot)
        return pages

    # ------------------------------------------------------------ changing

    def change(self, partition: int, what: str | int, value: bytes) -> None:
        """Records a change here, and makes it. What comes afterwards will be another run."""
        del self.changes[self._applied :]
        self.changes.append(Change(self.position, partition, what, value))
        self.log.cut()
        self.moments.cut(self.position)
        self._apply()

    def _apply(self) -> None:
        """Makes the changes of this position."""
        while self._applied < len(self.changes):
            change = self.changes[self._applied]
            if change.position > self.position:
                return
            if change.position < self.position:
                raise EngineError(
                    f"a recorded change is of a hypercall at tick {change.position.tick}, and this "
                    "run has none there\n  help: record the run again"
                )
            self._applied += 1
            if isinstance(change.what, int):
                self.stepper.write(change.partition, change.what, change.value)
            elif change.what == MODE:
                self.stepper.set_mode(change.partition, int.from_bytes(change.value, "little"))
                while (batch := self.stepper.drain()).count:
                    self.log.add(batch)
            else:
                self._set(change.partition, self._registers[change.what], change.value)

    def _set(self, partition: int, register: Register, value: bytes) -> None:
        """Without the bits that are no guest's to change: changes may come from a file."""
        old = self.stepper.register(partition, register.number)
        if old is not None:
            given = int.from_bytes(value, "little")
            new = (old & ~register.mask | given & register.mask) & (1 << 8 * register.size) - 1
            self.stepper.set_register(partition, register.number, new)
