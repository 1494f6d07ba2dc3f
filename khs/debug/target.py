"""One system on Unicorn under a debugger: looked at, changed, and moved in both directions.

    with Target(plan) as target:
        target.set_breakpoints(0, frozenset({0x8000}))
        target.go()
        target.back_step()

Looking changes nothing: whatever way a position was reached, the system is in the same state there,
and at the run's end its trace has the hash that it has without a debugger. What is written is an
input of the run from then on, which comes again whenever the run passes that position.

A fault takes the tick that is charged for it, so the position behind it is one tick later. A
watchpoint watches its own partition's accesses; backwards, one stops before the access.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from khs import runs
from khs.debug.conditions import Conditions
from khs.debug.course import Course
from khs.debug.registers import BY_ARCH
from khs.debug.snapshots import BUDGET_BYTES
from khs.debug.stops import Calls, Cause, Events, Position, Stop, Watch
from khs.engine.changes import BEGIN, Change
from khs.engine.native import NEVER, NONE
from khs.engine.result import Result, Tally
from khs.engine.stepping import ANY
from khs.engine.structures import Status, View
from khs.engine.unicorn import Machine, Taker
from khs.errors import EngineError

#: Ticks that are looked through first on the way back, then four times as many, and so on.
_NEAR, _FARTHER = 1024, 4
#: Stops of a stretch before its later half is looked through by itself.
_MANY = 64


class Target:
    """Used by one thread at a time, except for `interrupt`."""

    def __init__(self, plan: runs.Plan, *, budget: int = BUDGET_BYTES) -> None:
        """Takes the system to tick 0; `budget`: bytes of snapshots. EngineError if it cannot be
        had."""
        if plan.engine != "unicorn" or plan.machines:
            raise EngineError(
                "only systems on Unicorn alone are debugged in both directions\n"
                "  help: record a run with --record, and debug the recording"
            )
        self.plan = plan
        self.archive = plan.archive
        self.names = [str(name) for name in plan.archive.manifest["names"]["partitions"]]
        self.arch = str(plan.archive.manifest["arch"])
        self._hz = int(plan.archive.manifest["clock_hz"])
        self._registers = BY_ARCH[self.arch]
        machine = runs.open_machine(replace(plan, isolate=False), models=plan.attached.load())
        assert isinstance(machine, Machine)
        self._course = Course(machine, self.arch, plan.frames, budget, plan.changes)
        self._host, self._stepper = machine.host, self._course.stepper
        self._conditions = Conditions(self._course, len(self.names))
        self.stop = Stop(Cause.BEGIN, BEGIN, self.running())

    def close(self) -> None:
        """Frees everything."""
        self._course.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------ where it stands

    @property
    def position(self) -> Position:
        return self._course.position

    def ns(self) -> int:
        """Virtual time, rounded down."""
        return self.position.tick * 1_000_000_000 // self._hz

    def running(self) -> int | None:
        """The partition that executes the next instruction, or whose window it is."""
        return self._stepper.window()[0]

    def status(self) -> Status:
        return self._host.status()

    def view(self, partition: int) -> View:
        return self._host.view(partition)

    # ------------------------------------------------------------ looking and changing

    def registers(self, partition: int) -> list[int]:
        """gdb's core set; see khs/host/host.h. Empty if the partition never ran."""
        return self._host.registers(partition)

    def read_register(self, partition: int, name: str) -> bytes | None:
        """In its own width, little endian, by gdb's name. None if the partition never ran, KeyError
        if there is no such register."""
        register = self._registers[name]
        value = self._stepper.register(partition, register.number)
        if value is None:
            return None
        return (value & (1 << 8 * register.size) - 1).to_bytes(register.size, "little")

    def write_register(self, partition: int, name: str, value: bytes) -> None:
        """What is no guest's to change stays as it is. A recorded input: cuts the future."""
        register = self._registers[name]
        old = self._stepper.register(partition, register.number)
        if old is None:
            return
        given = int.from_bytes(value[: register.size], "little")
        new = (old & ~register.mask | given & register.mask) & (1 << 8 * register.size) - 1
        self._change(partition, name, new.to_bytes(register.size, "little"))

    def read(self, partition: int, address: int, size: int) -> bytes:
        """Up to the first byte that is not mapped."""
        return self._host.read(partition, address, size)

    def write(self, partition: int, address: int, data: bytes) -> int:
        """Bytes written, up to the first that no partition may write: text never is. A recorded
        input: cuts the future."""
        size = self._stepper.writable(partition, address, len(data))
        if size:
            self._change(partition, address, data[:size])
        return size

    def _change(self, partition: int, what: str | int, value: bytes) -> None:
        self._course.change(partition, what, value)

    # ------------------------------------------------------------ where to stop

    def set_breakpoints(self, partition: int, addresses: frozenset[int]) -> None:
        self._conditions.set_breakpoints(partition, addresses)

    def set_watches(self, partition: int, watches: tuple[Watch, ...]) -> None:
        self._conditions.set_watches(partition, watches)

    def set_calls(self, calls: tuple[Calls, ...]) -> None:
        self._conditions.set_calls(calls)

    def set_events(self, noted: tuple[Events, ...]) -> None:
        self._conditions.set_events(noted)

    # ------------------------------------------------------------ moving

    def go(self, until: int | None = None) -> Stop:
        """To the first stop, or to tick `until`."""
        self.stop = self._forward(NEVER if until is None else until)
        return self.stop

    def step(self, partition: int | None = None) -> Stop:
        """One guest instruction, or the fault instead of one; other stops may come first."""
        self.stop = self._forward(NEVER, ANY if partition is None else partition)
        return self.stop

    def step_window(self) -> Stop:
        """To the begin of the next window, or the first stop before."""
        while True:
            end = self._stepper.window()[1]
            self.go(end)
            if self.position.tick < end or self.stop.cause is not Cause.STEP:
                return self.stop
            if self.running() is not None:
                return self.stop

    def step_frame(self) -> Stop:
        """To the begin of the next major frame, or the first stop before."""
        return self.go(self._stepper.window()[2])

    def go_to(self, position: Position) -> Stop:
        """Exactly there, past all stops; to the end if that comes before."""
        halt = self._course.go_to(max(position, BEGIN))
        self.stop = self._conditions.stop_of(halt) if halt else self._standing(Cause.STEP)
        return self.stop

    def interrupt(self) -> None:
        """Ends `go` or `back` soon; from any thread."""
        self._host.stop()

    def _standing(self, cause: Cause) -> Stop:
        return Stop(cause, self.position, self.running())

    def _forward(self, until: int, steps: int = NONE) -> Stop:
        course = self._course
        while True:
            if course.asked.is_set():
                course.asked.clear()
                return self._standing(Cause.INTERRUPT)
            if course.position.tick >= until and course.position.settled:
                return self._standing(Cause.STEP)
            stop = self._conditions.stop_of(course.forward(until, steps))
            if self._conditions.wants(stop):
                return stop

    # ------------------------------------------------------------ moving back

    def back(self) -> Stop:
        """Reverse-continue: the last stop before here, or BEGIN."""
        origin = high = self.position
        width = _NEAR
        while high > BEGIN:
            low = Position(max(high.tick - width, 0))
            found = self._last_stop(low, high, origin)
            if found is not None and found.cause is Cause.INTERRUPT:
                self._course.go_to(origin)
                self.stop = self._standing(Cause.INTERRUPT)
                return self.stop
            if found is not None:
                self._course.go_to(_place(found))
                self.stop = replace(found, position=self.position)
                return self.stop
            high, width = low, width * _FARTHER
        return self._back_to_begin()

    def _last_stop(self, low: Position, high: Position, origin: Position) -> Stop | None:
        """The last stop behind `low`, not behind `high` and with its place before `origin`; or an
        interrupt. Where there are many the later half is looked through first."""
        found = None
        while low < high:
            self._course.go_to(low)
            for _ in range(_MANY):
                stop = self._forward(high.tick + 1)
                if stop.cause is Cause.INTERRUPT:
                    return stop
                if stop.position > high or stop.cause in (Cause.STEP, Cause.END):
                    return found
                if _place(stop) >= origin:
                    return found
                found = stop
            low = stop.position
            middle = Position((low.tick + high.tick) // 2)
            if middle > low:
                later = self._last_stop(middle, high, origin)
                if later is not None:
                    return later
                high = middle
        return found

    def _back_to_begin(self) -> Stop:
        self._course.go_to(BEGIN)
        self.stop = self._standing(Cause.BEGIN)
        return self.stop

    def back_step(self, partition: int | None = None) -> Stop:
        """Before the last guest instruction executed, or the fault instead of one."""
        last = self._stepper.last(ANY if partition is None else partition)
        return self.go_to(Position(last - 1)) if last else self._back_to_begin()

    def back_window(self) -> Stop:
        """To the last begin of a window before here."""
        return self._back_to(lambda: self._stepper.window()[1], lambda: self.running() is not None)

    def back_frame(self) -> Stop:
        """To the last begin of a major frame before here."""
        return self._back_to(lambda: self._stepper.window()[2], lambda: True)

    def _back_to(self, end: Callable[[], int], counts: Callable[[], bool]) -> Stop:
        """From one end to the next, from ever earlier moments on."""
        origin = self.position
        begin, found = origin, BEGIN
        while begin > BEGIN and found == BEGIN:
            begin = self._course.moments.before(begin).position
            self._course.go_to(begin)
            while Position(tick := end()) < origin and tick > self.position.tick:
                self._course.go_to(Position(tick))
                found = self.position if counts() else found
        return self.go_to(found) if found > BEGIN else self._back_to_begin()

    # ------------------------------------------------------------ history

    @property
    def happened(self) -> int:
        """Events before here."""
        return self._course.log.here.count

    def events(self, since: int = 0, kinds: frozenset[int] | None = None) -> list[bytes]:
        """Records from number `since` to here, as in the trace; only those of some types."""
        return list(self._course.log.read(since, kinds))

    def latest(self) -> Iterator[bytes]:
        """Records from the last one to the first; looking at a few costs little."""
        return self._course.log.backwards()

    def retell(self, take: Taker) -> None:
        """Gives all events to `take`, as a run does."""
        for batch in self._course.log.batches():
            take(self._host.split(batch))

    def verdicts(self) -> dict[str, int]:
        """How many were granted and denied before here."""
        here = self._course.log.here
        return {"granted": here.granted, "denied": here.denied}

    def queued(self, channel: int, reader: int) -> int:
        """Messages that wait for a reader of a queuing channel; both by number."""
        return self._stepper.queued(channel, reader)

    def changes(self) -> list[Change]:
        """What was written, in the order of the run."""
        return list(self._course.changes)

    @property
    def snapshots(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        return len(self._course.moments), self._course.moments.bytes

    def state_hash(self) -> str:
        """Of all that the future depends on: the kernel's state, registers, memory."""
        digest = hashlib.sha256(repr(self.position).encode())
        for area, number, content in self._course.pages():
            digest.update(f"{area} {number} ".encode() + content)
        for number in range(len(self.names)):
            digest.update(bytes(self.view(number)))
            for name in self._registers:
                digest.update(self.read_register(number, name) or b"-")
        return digest.hexdigest()

    def result(self) -> Result:
        """What the run came to so far."""
        tally = Tally(self.names)
        self.retell(tally.add)
        return self._course.machine.result(
            interrupted=self.stop.cause is not Cause.END,
            reproducible=True,
            wall_s=0.0,
            tally=tally,
        )


def _place(stop: Stop) -> Position:
    """Where one stops for it on the way back."""
    if stop.cause is Cause.WATCHPOINT:
        return Position(stop.position.tick - 1)
    return stop.position
