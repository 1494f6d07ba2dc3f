"""Moving, both ways, and what gdb is told of a stop: vCont c s bc bs D k ?"""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import TYPE_CHECKING

from khs.debug.rsp.access import core, layout_of, shown, value
from khs.debug.rsp.framing import MalformedError, number, numbers
from khs.debug.rsp.points import HARDWARE
from khs.debug.rsp.world import Halt, Process
from khs.debug.stops import Access, Cause, Stop

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

_TRAP, _INT = 5, 2
_WATCHES = {Access.WRITE: "watch", Access.READ: "rwatch", Access.ANY: "awatch"}
_LEFT = "the processes are gone"


# ---- what stopped


def current(session: Session) -> Process:
    """The process that a stop is told of: whose doing it was, or who is to run next."""
    halt = session.world.halt
    partition = halt.stop.partition
    if partition is None:
        partition = session.world.targets[halt.system].running()
    return session.general if partition is None else session.world.of(halt.system, partition)


def settle(session: Session) -> None:
    """Registers and memory are from here on those of the process that a stop is told of."""
    session.general = session.described = current(session)


def stopped(session: Session, halt: Halt) -> bytes:
    """The stop reply, after what is to be said about it. The run's end is a stop, too, however
    often gdb would go on: from there one can go back."""
    settle(session)
    process, stop = session.general, halt.stop
    signal = _INT if stop.cause is Cause.INTERRUPT else _TRAP
    reason = _reason(session, halt, process)
    return _trap(session, signal, reason, process)


def _trap(session: Session, signal: int, reason: bytes, process: Process) -> bytes:
    place = b"thread:p%x.1;core:%x;" % (process.pid, process.system)
    return b"T%02x" % signal + reason + place + _expedited(session, process)


def _reason(session: Session, halt: Halt, process: Process) -> bytes:
    stop, points = halt.stop, session.points
    if stop.cause in (Cause.CALL, Cause.RETURN, Cause.EVENT):
        return _called(session, halt)
    if stop.cause is Cause.BREAKPOINT:
        kind = points.kind_at(process, _pc(session, process))
        feature = "hwbreak" if kind == HARDWARE else "swbreak"
        return feature.encode() + b":;" if feature in session.features else b""
    if stop.cause is Cause.WATCHPOINT and stop.watch is not None:
        address = stop.watch.address if stop.address is None else stop.address
        return f"{_WATCHES[stop.watch.access]}:{address:x};".encode()
    if stop.cause is Cause.END:
        session.say(f"khs: the run is over: {session.systems.time(halt.system)}")
        return b"replaylog:end;"
    if stop.cause is Cause.BEGIN:
        return b"replaylog:begin;"
    return b""


def _called(session: Session, halt: Halt) -> bytes:
    """A hypercall or an event: in words, unless it is for `catch syscall` alone. gdb goes on by
    itself after a catch in a process that it has no catchpoint for, and must not at ours."""
    stop, points = halt.stop, session.points
    caught = stop.cause is not Cause.EVENT and not session.plain and points.catches(stop.number)
    if caught and points.met(halt) is None:
        kind = "syscall_entry" if stop.cause is Cause.CALL else "syscall_return"
        return f"{kind}:{stop.number:x};".encode()
    if stop.record is not None:
        past = session.systems.pasts[halt.system]
        session.say(f"khs: {past.told(stop.record)}")
        if past.is_fault(stop.record):
            session.say("khs: this is behind the fault and its handling; reverse-stepi leads to it")
    else:
        session.say(f"khs: {calling(session, stop, halt)}")
    return b""


def calling(session: Session, stop: Stop, halt: Halt) -> str:
    """Who calls what, with its arguments."""
    names = session.systems.pasts[halt.system].names()
    process = session.general
    text = session.systems.call(process, stop.number or 0)
    return f"{names.ms(stop.position.tick)} ms  {process.label} calls {text}"


def _pc(session: Session, process: Process) -> int:
    rows = core(session.world, process)
    return rows[layout_of(session.world, process).pc] if rows else 0


def _expedited(session: Session, process: Process) -> bytes:
    world, known = session.world, core(session.world, process)
    return b"".join(
        b"%x:%b;" % (row.number, shown(row, value(world, process, row, known)))
        for row in layout_of(world, process).expedited
        if known
    )


# ---- forward


def _resume(session: Session, rest: bytes) -> bytes:
    """vCont: whoever is not to be stepped runs, as everybody runs with everybody here."""
    for action in rest.split(b";"):
        verb, _, thread = action.partition(b":")
        process = session.thread(thread) or session.general
        if verb[:1] in (b"s", b"S"):
            return _step(session, process)
        if verb[:1] == b"r":
            start, end = _span(verb[1:])
            return _range(session, process, start, end)
        if verb[:1] not in (b"c", b"C", b"t"):
            raise MalformedError("vCont has c, C, s, S, r")
    return _moved(session, session.world.go)


def _span(text: bytes) -> tuple[int, int]:
    values = numbers(text)
    if len(values) != 2:
        raise MalformedError("a range has a begin and an end")
    return values[0], values[1]


def _continue(session: Session, rest: bytes) -> bytes:
    return _moved(session, session.world.go)


def _step_one(session: Session, rest: bytes) -> bytes:
    return _step(session, session.control or session.general)


def _step(session: Session, process: Process) -> bytes:
    return _moved(session, lambda: _one(session, process))


def _one(session: Session, process: Process) -> Halt:
    return session.world.ahead(process.system, lambda target: target.step(process.partition))


def _range(session: Session, process: Process, start: int, end: int) -> bytes:
    """Steps while the process is within; at a hypercall, too, it goes on."""

    def move() -> Halt:
        while True:
            halt = _one(session, process)
            own = (halt.system, halt.stop.partition) == (process.system, process.partition)
            inside = own and start <= _pc(session, process) < end
            if halt.stop.cause is not Cause.STEP or not inside:
                return halt

    return _moved(session, move)


def _moved(session: Session, move: Callable[[], Halt]) -> bytes:
    """Tells the systems what to stop for, moves them, and tells gdb where they are."""
    if session.over:
        raise MalformedError(_LEFT)
    session.points.apply()
    armed, session.armed = session.armed, None
    session.plain = armed is not None
    return stopped(session, (armed or move)())


# ---- backward


def _back(session: Session, rest: bytes) -> bytes:
    return _moved(session, lambda: session.world.behind(lambda target: target.back()))


def _back_step(session: Session, rest: bytes) -> bytes:
    """Before the last instruction of the process that gdb was told of, as a step is one of that
    process: whatever others did since then is undone with it. gdb says `Hc0`, and Hg is of where it
    looked last; `monitor back instruction` is for anybody's."""
    process = session.control or current(session)
    back = methodcaller("back_step", process.partition)
    return _moved(session, lambda: session.world.behind(back, process.system))


# ---- the end


def _why(session: Session, rest: bytes) -> bytes:
    """gdb comes: it is told where, and not why that is."""
    settle(session)
    return _trap(session, _TRAP, b"", session.general)


def _detach(session: Session, rest: bytes) -> bytes:
    for process in _named(session, rest):
        session.points.forget(process)
        session.left.add(process.pid)
    return b"OK"


def _kill(session: Session, rest: bytes) -> bytes:
    for process in _named(session, rest):
        session.points.forget(process)
        session.killed.add(process.pid)
    return b"OK"


def _named(session: Session, rest: bytes) -> tuple[Process, ...]:
    """The process of `;PID`, else all."""
    pid = rest.lstrip(b";")
    return (session.process(number(pid, 1 << 31)),) if pid else session.world.processes


def _attach(session: Session, rest: bytes) -> bytes:
    process = session.process(number(rest, 1 << 31))
    session.left.discard(process.pid)
    session.general = session.described = process
    return _trap(session, _TRAP, b"", process)


HANDLERS = {
    b"vCont;": _resume,
    b"vCont?": lambda session, rest: b"vCont;c;C;s;S;r",
    b"vAttach;": _attach,
    b"vKill;": _kill,
    b"c": _continue,
    b"C": _continue,
    b"s": _step_one,
    b"S": _step_one,
    b"bc": _back,
    b"bs": _back_step,
    b"?": _why,
    b"D": _detach,
    b"k": _kill,
}
#: Packets after which the systems move: what comes then may be an interrupt.
MOVES = (b"vCont;", b"c", b"C", b"s", b"S", b"bc", b"bs", b"qRcmd,")
