"""`monitor` commands: what gdb has no words for. Text in, lines out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import TYPE_CHECKING

from khs.abi.hypercalls import BY_NAME
from khs.debug.define import known_words
from khs.debug.rsp import tables
from khs.debug.rsp.framing import unhex
from khs.debug.rsp.motion import current
from khs.debug.rsp.points import Wish
from khs.debug.rsp.world import Halt, Process
from khs.debug.stops import Cause, Noted
from khs.errors import KhsError

if TYPE_CHECKING:
    from khs.debug.rsp.session import Session

Words = Sequence[str]
Move = Callable[[], Halt]
_CALLS_SHOWN = 16
_CALLS_MOST = 1000
_HC = "hc break [PARTITION] [NAME] [denied]"
_STEP, _BACK = "step window|frame", "back window|frame|instruction|call|denied"


class CommandError(KhsError):
    """A command that is not one; the text says what would be right."""


@dataclass(frozen=True)
class Command:
    """`usage` begins with the command's name; it takes `most` words at most."""

    usage: str
    about: str
    run: Callable[[Session, Words], list[str]]
    most: int = 0


def _rcmd(session: Session, rest: bytes) -> bytes:
    """qRcmd. What went wrong is told on the console, where it may have several lines; the error
    behind it ends a command file."""
    try:
        lines, reply = execute(session, unhex(rest).decode("utf-8", "replace")), b"OK"
    except KhsError as error:
        lines, reply = str(error).splitlines(), session.refusal("khs refused it")
    for line in lines:
        session.say(line)
    return reply


def execute(session: Session, text: str) -> list[str]:
    """The lines that a command has to say; KhsError if it is wrong or cannot be done."""
    words = text.split()
    name = words[0] if words else "help"
    command = COMMANDS.get(name)
    if command is None:
        raise CommandError(f"there is no command {name!r}; monitor help lists them")
    if len(words) > 1 + command.most:
        raise CommandError(f"{' '.join(words)}: it is monitor {command.usage}")
    return command.run(session, words[1:])


def _help(session: Session, words: Words) -> list[str]:
    if words:
        if words[0] not in COMMANDS:
            raise CommandError(f"there is no command {words[0]!r}; monitor help lists them")
        command = COMMANDS[words[0]]
        return [f"monitor {command.usage}", f"  {command.about}"]
    width = max(len(command.usage) for command in COMMANDS.values())
    rows = [f"monitor {each.usage:<{width}}  {each.about}" for each in COMMANDS.values()]
    return [*rows, "Names of hypercalls may go without khs_; N counts from 1."]


# ---- where to stop


def _hc(session: Session, words: Words) -> list[str]:
    verb, *rest = words or ["list"]
    if verb == "break":
        denied = "denied" in rest
        noted = Noted.DENIED if denied else None
        return _add(session, _wish(session, noted, [word for word in rest if word != "denied"]))
    return _edit(session, "monitor hc break|list|delete [N]", verb, rest)


def _break(session: Session, words: Words) -> list[str]:
    verb, *rest = words or ["list"]
    if verb in tuple(Noted):
        return _add(session, _wish(session, Noted(verb), rest))
    usage = f"monitor break {'|'.join(Noted)} [PARTITION], or list, or delete [N]"
    return _edit(session, usage, verb, rest)


def _edit(session: Session, usage: str, verb: str, rest: Words) -> list[str]:
    if verb == "list" and not rest:
        wishes = session.points.wishes.items()
        return [f"{number}: {wish}" for number, wish in wishes] or ["there are none"]
    if verb == "delete" and len(rest) < 2:
        number = _count(rest[0]) if rest else None
        gone = session.points.delete(number)
        if not gone and number is not None:
            raise CommandError(f"there is no breakpoint {number}; monitor hc list shows them")
        return [f"deleted {', '.join(map(str, gone)) or 'none'}"]
    raise CommandError(f"{' '.join((verb, *rest))!r}: it is {usage}")


def _add(session: Session, wish: Wish) -> list[str]:
    return [f"{session.points.add(wish)}: stops at {wish}"]


def _wish(session: Session, noted: Noted | None, words: Words) -> Wish:
    """Partition and hypercall by name, in any order, each at most once."""
    process, number = None, None
    for word in words:
        row = BY_NAME.get(word) or BY_NAME.get(f"khs_{word}")
        if row is not None and noted not in (None, Noted.DENIED):
            raise CommandError(f"{word!r} is a hypercall: monitor break {noted} [PARTITION]")
        found = None if row else _process(session, word)
        if (number if row else process) is not None:
            raise CommandError(f"{word!r}: one partition and one hypercall at most")
        number = row.number if row else number
        process = found or process
    return Wish(noted, process, number)


def _process(session: Session, word: str) -> Process:
    world = session.world
    found = [each for each in world.processes if word in (each.label, each.name, each.full)]
    exact = [each for each in found if each.label == word] or found
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise CommandError(f"{word!r} is ambiguous: {', '.join(each.label for each in exact)}")
    rows = "\n  ".join(known_words(each.label for each in world.processes))
    raise CommandError(f"{word!r} is neither a partition nor a hypercall; there are\n  {rows}")


# ---- what happened


def _why(session: Session, words: Words) -> list[str]:
    denied = "denied" in words
    numbers = [word for word in words if word != "denied"]
    number = _count(numbers[0]) if numbers else None
    return list(session.systems.explain(current(session).system, number, denied))


def _calls(session: Session, words: Words) -> list[str]:
    count = min(_count(words[0]) if words else _CALLS_SHOWN, _CALLS_MOST)
    found = session.systems.pasts[current(session).system].calls(count)
    lines = []
    for each in found:
        lines.append(each.text)
        lines += [f"{'':>13}     verdict {number}: {text}" for number, text in each.verdicts]
    return lines or ["there was none yet"]


def _blocked(session: Session, words: Words) -> list[str]:
    processes = session.world.processes
    width = max(len(each.label) for each in processes)
    states = [(each, session.systems.state(each)) for each in processes]
    return [f"{each.pid:>3}  {each.label:<{width}}  {state}" for each, state in states]


def _table(name: str) -> Callable[[Session, Words], list[str]]:
    rows = tables.TABLES[name][0]
    return lambda session, words: tables.lines(list(rows(session.systems)))


def _time(session: Session, words: Words) -> list[str]:
    systems = session.systems
    several = len(systems.plans) > 1
    return [
        (f"{label}: " if several else "") + systems.time(number)
        for number, label in enumerate(systems.world.labels)
    ]


def _snapshot(session: Session, words: Words) -> list[str]:
    world = session.world
    return [
        f"{label}: {target.snapshots[0]} kept to go back with, {target.snapshots[1] / 1e6:.1f} MB; "
        f"state {target.state_hash()[:16]}"
        for label, target in zip(world.labels, world.targets, strict=True)
    ]


# ---- moving


def _step(session: Session, words: Words) -> list[str]:
    return _report(session, _move(session, "step", words)())


def _back(session: Session, words: Words) -> list[str]:
    return _report(session, _move(session, "back", words)())


def _arm(session: Session, words: Words) -> list[str]:
    verb, *rest = words or [""]
    if verb not in ("step", "back"):
        raise CommandError(f"it is monitor arm {_STEP}, or monitor arm {_BACK}")
    session.armed = _move(session, verb, rest)
    return []


def _move(session: Session, verb: str, words: Words) -> Move:
    """What a command moves; the stops that gdb asked for do not count on the way."""
    system, world = current(session).system, session.world
    where = " ".join(words)
    ahead = {"step window": methodcaller("step_window"), "step frame": methodcaller("step_frame")}
    behind = {
        "back window": methodcaller("back_window"),
        "back frame": methodcaller("back_frame"),
        "back instruction": methodcaller("back_step"),
    }
    wishes = {"back call": Wish(), "back denied": Wish(Noted.DENIED)}
    key = f"{verb} {where}"

    def move() -> Halt:
        session.points.only(wishes.get(key))
        if key in ahead:
            return world.ahead(system, ahead[key])
        if key in behind:
            return world.behind(behind[key], system)
        return _sought(session, "denial" if "denied" in key else "hypercall")

    if key not in ahead | behind | wishes:
        raise CommandError(f"it is monitor {_STEP if verb == 'step' else _BACK}")
    return move


def _sought(session: Session, what: str) -> Halt:
    """Back to the last one; if there is none the systems stay where they are."""
    world, here = session.world, session.world.places()
    halt = world.behind(methodcaller("back"))
    if halt.stop.cause is not Cause.BEGIN:
        return halt
    session.say(f"khs: there is no {what} before here")
    return world.return_to(here)


def _report(session: Session, halt: Halt) -> list[str]:
    systems, stop = session.systems, halt.stop
    lines = [systems.time(halt.system)]
    if stop.cause is Cause.BEGIN:
        lines.append("this is the beginning of the run")
    elif stop.cause is Cause.END:
        lines.append("this is the end of the run")
    elif stop.record is not None:
        lines.append(systems.pasts[halt.system].told(stop.record))
    process = current(session)
    if stop.cause is Cause.CALL:
        lines.append(f"{process.label} calls {systems.call(process, stop.number or 0)}")
    lines.append(f"gdb does not know yet: inferior {process.pid}, maintenance flush register-cache")
    return lines


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 63:
        raise CommandError(f"{text!r}: a number from 1 on is wanted")
    return int(text)


_LIST = (
    Command("help [COMMAND]", "this list, or one command", _help, 1),
    Command(_HC, "stop at hypercalls, or at their denials; hc list, hc delete [N]", _hc, 4),
    Command(f"break {'|'.join(Noted)} [PARTITION]", "stop behind such an event", _break, 3),
    Command("why [N] [denied]", "explain verdict or denial N, or the last one", _why, 2),
    Command("calls [N]", "the last hypercalls with their verdicts", _calls, 1),
    Command("blocked", "what every partition does or waits for", _blocked),
    Command("partitions", "modes and counts", _table("partitions")),
    Command("ports", "who is at the other end of a port, and what is queued", _table("ports")),
    Command("schedule", "windows, and which one it is", _table("schedule")),
    Command("policy", "policies and verdicts so far", _table("policy")),
    Command("time", "virtual time, frame, whose window", _time),
    Command("snapshot", "what is kept to go back with, and the state's hash", _snapshot),
    Command(_STEP, "to the begin of the next one", _step, 1),
    Command(_BACK, "to the last one of anybody", _back, 1),
    Command("arm step|back ...", "the same, by the next continue or reverse-continue", _arm, 2),
)
#: By name, in the order of the help.
COMMANDS = {command.usage.split()[0]: command for command in _LIST}
HANDLERS = {b"qRcmd,": _rcmd}
