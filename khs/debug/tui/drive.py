"""Moves of the terminal debugger. All of it runs on the one thread that has the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khs.config.model import Arch
from khs.debug.program import Program
from khs.debug.stops import Calls, Cause, Events, Noted, Position, Stop
from khs.debug.target import Target
from khs.debug.tui.stream import Row, Stream
from khs.debug.tui.view import Looker, View
from khs.errors import KhsError
from khs.trace.events import Event, Hypercall
from khs.trace.names import Names
from khs.trace.outline import Outline, Schedule

#: What to do with the driver; see `MOVES`.
Move = Callable[["Driver"], Stop | None]


@dataclass(frozen=True)
class Update:
    """What the screen needs after a move. `kept` of the `rows` at the beginning are as they were;
    `judged`: what was judged since the run's begin, None if that is too long ago; `offset`: ticks
    of the major frame of `schedule` that are over."""

    view: View
    rows: Sequence[Row]
    kept: int
    judged: Sequence[tuple[int, Event]] | None
    schedule: Schedule | None
    offset: int


class Driver:
    """Moves a target and takes its views. `follow`: the partition that is looked into and stepped,
    None for whichever runs; `address`: where memory is shown from, None for the stack."""

    def __init__(self, target: Target) -> None:
        self.target = target
        arch, elfs = Arch[target.arch.upper()], target.archive.elfs
        self.programs = [Program(arch, elfs.get(name, b"")) for name in target.names]
        self.stream = Stream(Names.from_header(target.plan.header))
        self.follow: int | None = None
        self.address: int | None = None
        self.stop_at_denials = True
        self.breakpoints: dict[int, frozenset[int]] = {}
        self._outline = Outline.from_header(target.plan.header)
        self._looker = Looker(target, self.programs)

    def do(self, move: Move | None) -> Update:
        """Moves, if there is a move, and looks."""
        self._arm()
        if move is not None:
            move(self)
        kept = self.stream.follow(self.target.happened, self.target.events)
        view = self._looker.look(self.follow, self.address)
        number, began = self.stream.schedule_at(view.position.tick)
        schedules = self._outline.schedules
        schedule = schedules[number] if number < len(schedules) else None
        offset = (view.position.tick - began) % schedule.major_frame if schedule else 0
        judged = tuple(self.stream.judged) if self.stream.complete else None
        return Update(view, tuple(self.stream.rows), kept, judged, schedule, offset)

    def toggle(self, partition: int, address: int) -> bool:
        """Sets a breakpoint, or takes it away; whether it is set now."""
        known = self.breakpoints.get(partition, frozenset())
        self.breakpoints[partition] = known ^ {address}
        return address not in known

    def _arm(self, *, calls: bool = False, denied: bool = False) -> None:
        """Where to stop on the way. `calls`: at every hypercall; `denied`: at denials anyway."""
        target = self.target
        for partition, addresses in self.breakpoints.items():
            target.set_breakpoints(partition, addresses)
        wanted = denied or self.stop_at_denials
        target.set_events((Events(Noted.DENIED),) if wanted else ())
        target.set_calls((Calls(result=False),) if calls else ())

    # ---- moves

    def hypercall(self) -> Stop:
        """Behind the next hypercall: made, judged and answered, or waiting."""
        self._arm(calls=True)
        stop = self.target.go()
        if stop.cause is not Cause.CALL:
            return stop
        self._arm()
        return self.target.go_to(Position(stop.position.tick))

    def denial(self) -> Stop:
        """Behind the next denial."""
        self._arm(denied=True)
        return self.target.go()

    def back_hypercall(self) -> Stop:
        """Behind the last hypercall before here."""
        return self._back_to(_is_call, calls=True)

    def back_denial(self) -> Stop:
        """Behind the last denial before here."""
        return self._back_to(lambda row: row.mark == "denied", calls=False)

    def _back_to(self, wanted: Callable[[Row], bool], *, calls: bool) -> Stop:
        """To the last row that is wanted; of a long run not all are kept, and the target looks.
        KhsError, and it stays here, if there is none."""
        target, here = self.target, self.target.position
        now, none = here.tick, f"there is no {'hypercall' if calls else 'denial'} before here"
        rows = (row for row in reversed(self.stream.rows) if row.tick < now and wanted(row))
        found = next(rows, None)
        if found is not None and not calls:  # from right behind it, so that the stop is of it
            target.go_to(Position(found.tick + 1))
            self._arm(denied=True)
            stop = target.back()
            return stop if stop.cause is Cause.EVENT else target.go_to(Position(found.tick))
        if found is not None:
            return target.go_to(Position(found.tick))
        if self.stream.first == 0:
            raise KhsError(none)
        self._arm(calls=calls, denied=not calls)
        stop = target.back()
        while stop.cause is Cause.CALL and stop.position.tick == now:  # where it stands behind
            stop = target.back()
        if stop.cause is Cause.BEGIN:
            target.go_to(here)
            raise KhsError(none)
        return target.go_to(Position(stop.position.tick)) if stop.cause is Cause.CALL else stop


def _is_call(row: Row) -> bool:
    return isinstance(row.event, Hypercall)


#: By name: a move forward, and the same backward with "back-" before it.
MOVES: dict[str, Move] = {
    "instruction": lambda driver: driver.target.step(driver.follow),
    "back-instruction": lambda driver: driver.target.back_step(driver.follow),
    "hypercall": Driver.hypercall,
    "back-hypercall": Driver.back_hypercall,
    "window": lambda driver: driver.target.step_window(),
    "back-window": lambda driver: driver.target.back_window(),
    "frame": lambda driver: driver.target.step_frame(),
    "back-frame": lambda driver: driver.target.back_frame(),
    "denial": Driver.denial,
    "back-denial": Driver.back_denial,
    "continue": lambda driver: driver.target.go(),
    "back-continue": lambda driver: driver.target.back(),
}
