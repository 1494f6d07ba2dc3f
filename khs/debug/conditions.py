"""Where a debugger wants a system to stop: given to the library, which is quick to look for it but
knows only some hypercall numbers and no hypercall of a denial. The rest is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khs.debug.course import Course
from khs.debug.stops import Access, Calls, Cause, Events, Noted, Stop, Watch
from khs.engine import stepping
from khs.engine.native import NONE
from khs.engine.stepping import ANY
from khs.engine.structures import Halt
from khs.trace import events
from khs.trace.kinds import EventType, HealthError

_NUMBERS = 31  # hypercall numbers with a bit of their own
#: Types of events, and codes.
_NOTED = {
    Noted.DENIED: (EventType.VERDICT, ANY),
    Noted.FAULT: (EventType.FAULT, ANY),
    Noted.HEALTH: (EventType.HEALTH, ANY),
    Noted.DEADLINE: (EventType.HEALTH, int(HealthError.DEADLINE_MISSED)),
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


class Conditions:
    """What is wanted, and the stops that come of it."""

    def __init__(self, course: Course, partitions: int) -> None:
        self._course, self._stepper, self._partitions = course, course.stepper, partitions
        self._watches: dict[int, tuple[Watch, ...]] = {}
        self._calls: tuple[Calls, ...] = ()
        self._noted: tuple[Events, ...] = ()

    def set_breakpoints(self, partition: int, addresses: frozenset[int]) -> None:
        self._stepper.set_breaks(partition, addresses)

    def set_watches(self, partition: int, watches: tuple[Watch, ...]) -> None:
        self._watches[partition] = watches
        rows = [(watch.address, watch.size, _ACCESS[watch.access]) for watch in watches]
        self._stepper.set_watches(partition, rows)

    def set_calls(self, calls: tuple[Calls, ...]) -> None:
        self._calls = calls
        for number in range(self._partitions):
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

    # ------------------------------------------------------------ stops

    def stop_of(self, halt: Halt) -> Stop:
        """What the library found."""
        cause = _CAUSES[stepping.Cause(halt.cause)]
        partition = None if halt.partition == NONE else int(halt.partition)
        watch = address = number = record = None
        if cause is Cause.WATCHPOINT:
            assert partition is not None
            watch, address = self._watches[partition][halt.number], int(halt.address)
        elif cause in (Cause.CALL, Cause.RETURN):
            number = int(halt.number)
        elif cause is Cause.EVENT:
            record = self._record()
            if record is not None:
                partition = events.decode(record).partition
        return Stop(cause, self._course.position, partition, number, watch, address, record)

    def wants(self, stop: Stop) -> bool:
        """Whether it is one, all in all."""
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

    def _record(self) -> bytes | None:
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


def _mask(filters: Iterable[frozenset[int] | None]) -> int:
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


def _hypercall(records: Sequence[bytes | memoryview], event: events.Event) -> int | None:
    """The hypercall that the event belongs to: its record follows."""
    for record in records:
        other = events.decode(record)
        if isinstance(other, events.Hypercall) and other.partition == event.partition:
            return other.number
    return None
