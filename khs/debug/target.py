"""One system on Unicorn under a debugger: looked at, changed, and moved in both directions.

    with Target(plan) as target:
        target.set_breakpoints(0, frozenset({0x8000}))
        target.go()
        target.back_step()

Looking changes nothing: whatever way a position was reached, the system is in the same state there,
and at the run's end its trace has the hash that it has without a debugger. What is written is an
input of the run from then on, which comes again whenever the run passes that position.

Events of positions: those at a tick and before, in the order of the trace. A fault takes the tick
that is charged for it, so the position behind it is one tick later. A watchpoint of a partition
watches that partition's own accesses. Backwards, a watchpoint stops before the access.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from khs import runs
from khs.debug.course import BEGIN, Change, Course
from khs.debug.registers import BY_ARCH
from khs.debug.stops import Access, Calls, Cause, Events, Noted, Position, Stop, Watch
from khs.engine import stepping
from khs.engine.native import NEVER, NONE
from khs.engine.result import Result, Tally
from khs.engine.stepping import ANY
from khs.engine.structures import Halt, Status, View
from khs.engine.unicorn import Machine
from khs.errors import EngineError
from khs.trace import events
from khs.trace.kinds import EventType

_NUMBERS = 31  # hypercall numbers with a bit of their own
_DEADLINE_MISSED = 0
#: Types of events, and codes.
_NOTED = {
    Noted.DENIED: (EventType.VERDICT, ANY),
    Noted.FAULT: (EventType.FAULT, ANY),
    Noted.HEALTH: (EventType.HEALTH, ANY),
    Noted.DEADLINE: (EventType.HEALTH, _DEADLINE_MISSED),
    Noted.POLICY: (EventType.POLICY, ANY),
    Noted.SCHEDULE: (EventType.SCHEDULE, ANY),
}
_ACCESS = {
    Access.WRITE: stepping.Access.WRITE,
    Access.READ: stepping.Access.READ,
    Access.ANY: stepping.Access.WRITE | stepping.Access.READ,
}
_CAUSES = {
    stepping.Cause.REACHED: Cause.STEP,
    stepping.Cause.STEP: Cause.STEP,
    stepping.Cause.BREAKPOINT: Cause.BREAKPOINT,
    stepping.Cause.WATCHPOINT: Cause.WATCHPOINT,
    stepping.Cause.CALL: Cause.CALL,
    stepping.Cause.HELD: Cause.STEP,
    stepping.Cause.RETURN: Cause.RETURN,
    stepping.Cause.EVENT: Cause.EVENT,
    stepping.Cause.INTERRUPT: Cause.INTERRUPT,
    stepping.Cause.END: Cause.END,
}


class Target:
    """Used by one thread at a time, except for `interrupt`."""

    def __init__(self, plan: runs.Plan) -> None:
        """Takes the system to tick 0. EngineError if it cannot be had."""
        if plan.engine != "unicorn" or plan.machines:
            raise EngineError(
                "only systems on Unicorn alone can be debugged in this way\n"
                "  help: record the run with --record, and debug the recording"
            )
        self.plan = plan
        self.archive = plan.archive
        self.names = [str(name) for name in plan.archive.manifest["names"]["partitions"]]
        self.arch = str(plan.archive.manifest["arch"])
        self._hz = int(plan.archive.manifest["clock_hz"])
        self._registers = BY_ARCH[self.arch]
        machine = runs.open_machine(plan)
        assert isinstance(machine, Machine)
        self._course = Course(machine, self.arch, plan.frames)
        self._host, self._stepper = machine.host, self._course.stepper
        self._watches: dict[int, tuple[Watch, ...]] = {}
        self._calls: tuple[Calls, ...] = ()
        self._noted: tuple[Events, ...] = ()
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
        """Of what is no guest's to change nothing is changed. A recorded input: cuts the future."""
        register = self._registers[name]
        old = self._stepper.register(partition, register.number)
        if old is None:
            return
        new = (
            old & ~register.mask | int.from_bytes(value[: register.size], "little") & register.mask
        )
        new &= (1 << 8 * register.size) - 1
        self._course.change(partition, name, new.to_bytes(register.size, "little"))

    def read(self, partition: int, address: int, size: int) -> bytes:
        """Up to the first byte that is not mapped."""
        return self._host.read(partition, address, size)

    def write(self, partition: int, address: int, data: bytes) -> int:
        """Bytes written, up to the first that no partition may write: text never is. A recorded
        input: cuts the future."""
        size = self._stepper.writable(partition, address, len(data))
        if size:
            self._course.change(partition, address, data[:size])
        return size

    # ------------------------------------------------------------ where to stop

    def set_breakpoints(self, partition: int, addresses: frozenset[int]) -> None:
        self._stepper.set_breaks(partition, addresses)

    def set_watches(self, partition: int, watches: tuple[Watch, ...]) -> None:
        self._watches[partition] = watches
        rows = [(watch.address, watch.size, _ACCESS[watch.access]) for watch in watches]
        self._stepper.set_watches(partition, rows)

    def set_calls(self, calls: tuple[Calls, ...]) -> None:
        self._calls = calls
        for number in range(len(self.names)):
            mine = [call for call in calls if call.partition in (None, number)]
            entries = _mask(call.numbers for call in mine if call.entry)
            results = _mask(call.numbers for call in mine if call.result)
            self._stepper.set_calls(number, entries, results)

    def set_events(self, noted: tuple[Events, ...]) -> None:
        self._noted = noted
        rows = []
        for each in noted:
            kind, code = _NOTED[each.noted]
            rows.append((int(kind), ANY if each.partition is None else each.partition, code))
        self._stepper.set_noted(rows)

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
            _, end, _ = self._stepper.window()
            self.go(end)
            if self.stop.cause is not Cause.STEP or self.running() is not None:
                return self.stop

    def step_frame(self) -> Stop:
        """To the begin of the next major frame, or the first stop before."""
        return self.go(self._stepper.window()[2])

    def go_to(self, position: Position) -> Stop:
        """Exactly there, past all stops; to the end if that comes before."""
        halt = self._course.go_to(max(position, BEGIN))
        self.stop = self._made(halt) if halt else Stop(Cause.STEP, self.position, self.running())
        return self.stop

    def interrupt(self) -> None:
        """Ends `go` or `back` soon; from any thread."""
        self._host.stop()

    def _forward(self, until: int, steps: int = NONE) -> Stop:
        course = self._course
        if course.ended and course.position != BEGIN:
            return Stop(Cause.END, course.position, self.running())
        while True:
            if course.asked.is_set():
                course.asked.clear()
                return Stop(Cause.INTERRUPT, course.position, self.running())
            stop = self._made(course.forward(until, steps))
            if self._is_wanted(stop):
                return stop
            if stop.position.tick >= until:
                return Stop(Cause.STEP, stop.position, self.running())

    def _made(self, halt: Halt) -> Stop:
        cause = _CAUSES[stepping.Cause(halt.cause)]
        partition = None if halt.partition == NONE else int(halt.partition)
        watch = address = number = record = None
        if cause is Cause.WATCHPOINT:
            assert partition is not None
            watch, address = self._watches[partition][halt.number], int(halt.address)
        elif cause in (Cause.CALL, Cause.RETURN):
            number = int(halt.number)
        elif cause is Cause.EVENT:
            record = self._noted_record()
            if record is not None:
                partition = events.decode(record).partition
        return Stop(cause, self.position, partition, number, watch, address, record)

    # ------------------------------------------------------------ what the library cannot tell

    def _is_wanted(self, stop: Stop) -> bool:
        """It knows only some hypercall numbers, and no denied hypercall's."""
        if stop.cause is Cause.EVENT:
            return stop.record is not None
        if stop.cause not in (Cause.CALL, Cause.RETURN):
            return True
        return any(
            (call.entry if stop.cause is Cause.CALL else call.result)
            and call.partition in (None, stop.partition)
            and (call.numbers is None or stop.number in call.numbers)
            for call in self._calls
        )

    def _noted_record(self) -> bytes | None:
        """The first record that is to be stopped behind, of those just found."""
        records = list(events.split(self._course.found))
        for index, record in enumerate(records):
            event = events.decode(record)
            for wanted in self._noted:
                if _matches(wanted, event) and (
                    wanted.numbers is None or _hypercall(records[index:], event) in wanted.numbers
                ):
                    return bytes(record)
        return None

    # ------------------------------------------------------------ moving back

    def back(self) -> Stop:
        """Reverse-continue: the last stop before here, or BEGIN."""
        origin = self.position
        self._course.go_to(BEGIN)
        last: tuple[Position, Stop] | None = None
        while self.position < origin:
            stop = self._forward(origin.tick)
            place = self._backwards(stop)
            if stop.cause is Cause.STEP or stop.cause is Cause.END or stop.position > origin:
                break
            if place < origin:
                last = place, stop
        return self._back_at(last)

    def _backwards(self, stop: Stop) -> Position:
        """Where one stops for it on the way back."""
        if stop.cause is Cause.WATCHPOINT:
            return Position(stop.position.tick - 1)
        return stop.position

    def _back_at(self, last: tuple[Position, Stop] | None) -> Stop:
        if last is None:
            self._course.go_to(BEGIN)
            self.stop = Stop(Cause.BEGIN, BEGIN, self.running())
        else:
            place, stop = last
            self._course.go_to(place)
            self.stop = replace(stop, position=place)
        return self.stop

    def back_step(self, partition: int | None = None) -> Stop:
        """Before the last guest instruction executed, or the fault instead of one."""
        last = self._stepper.last(ANY if partition is None else partition)
        if last == 0:
            return self._back_at(None)
        return self.go_to(Position(last - 1))

    def back_window(self) -> Stop:
        """To the last begin of a window before here."""
        return self._back_to(lambda: self._stepper.window()[1], lambda: self.running() is not None)

    def back_frame(self) -> Stop:
        """To the last begin of a major frame before here."""
        return self._back_to(lambda: self._stepper.window()[2], lambda: True)

    def _back_to(self, end: Callable[[], int], counts: Callable[[], bool]) -> Stop:
        origin, found = self.position, BEGIN
        self._course.go_to(BEGIN)
        while (tick := end()) < origin.tick:
            self._course.go_to(Position(tick))
            found = self.position if counts() else found
        if found == BEGIN:
            return self._back_at(None)
        return self.go_to(found)

    # ------------------------------------------------------------ history

    def events(self, since: int = 0) -> list[bytes]:
        """Records from number `since` to here, as in the trace."""
        return self._course.log.read(since)

    def changes(self) -> list[Change]:
        """What was written, in the order of the run."""
        return list(self._course.changes)

    @property
    def snapshots(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        return 1, 0

    def state_hash(self) -> str:
        """Of all that the future depends on."""
        digest = hashlib.sha256(repr(self.position).encode())
        for number in range(len(self.names)):
            digest.update(bytes(self.view(number)))
            for name in self._registers:
                digest.update(self.read_register(number, name) or b"-")
        return digest.hexdigest()

    def result(self) -> Result:
        """What the run came to so far."""
        tally = Tally(self.names)
        for batch in self._course.log.batches():
            tally.add(self._host.split(batch))
        return self._course.machine.result(
            interrupted=False, reproducible=True, wall_s=0.0, tally=tally
        )


def _mask(filters: Any) -> int:
    """Bits of hypercall numbers: khs_host_set_calls."""
    mask = 0
    for numbers in filters:
        if numbers is None:
            return 0xFFFFFFFF
        for number in numbers:
            mask |= 1 << min(number, _NUMBERS)
    return mask


def _matches(wanted: Events, event: events.Event) -> bool:
    kind, code = _NOTED[wanted.noted]
    if event.kind is not kind or wanted.partition not in (None, event.partition):
        return False
    if isinstance(event, events.Verdict):
        return not event.granted
    return code == ANY or (isinstance(event, events.Health) and event.error == code)


def _hypercall(records: Any, event: events.Event) -> int | None:
    """The hypercall that the event belongs to: its record follows."""
    for record in records:
        other = events.decode(record)
        if isinstance(other, events.Hypercall) and other.partition == event.partition:
            return int(other.number)
    return None
