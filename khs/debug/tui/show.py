"""Views as lines: partitions, instructions with source, registers, memory."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from rich.markup import escape

from khs.abi.hypercalls import HYPERCALLS
from khs.config.model import Arch
from khs.debug.program import DIGITS, Program
from khs.debug.source import Place, Sources
from khs.debug.stops import Cause, Stop
from khs.debug.target import Target
from khs.debug.tui.lines import Line, Role, Span, fit, line
from khs.debug.tui.view import CodeView, PartitionView, View
from khs.debug.tui.windows import bar
from khs.trace.events import Verdict, decode
from khs.trace.kinds import Mode
from khs.trace.outline import Schedule

_TARGET = re.compile(r"0x[0-9a-f]{4,}")
_STATES = 22


def state(row: PartitionView) -> Span:
    """What a partition does, or on what it waits."""
    if row.halted:
        return "halted by a fault", "bad"
    if row.mode is Mode.IDLE:
        return "idle", "dim"
    if row.waits is not None:
        known = row.waits < len(HYPERCALLS)
        name = HYPERCALLS[row.waits].name.removeprefix("khs_") if known else str(row.waits)
        return f"waits: {name}", "plain"
    return row.mode.word, "good" if row.mode is Mode.NORMAL else "warn"


def partition(
    number: int, view: View, schedule: Schedule | None, offset: int, width: int, names: int
) -> Line:
    """`▶ controller waits: port_receive  ····████┃···   998 calls   3 denied`."""
    row = view.partitions[number]
    sign: Span = ("▶ ", "here") if number == view.running else ("  ", "plain")
    told, role = state(row)
    counts: list[Span] = [(f"{row.hypercalls:>6} calls", "dim")]
    if width < 100:  # where there is little room, without gaps
        counts.append((_bad(row), "bad"))
        tail = 12 + max(11, *(len(_bad(each)) for each in view.partitions))
    else:
        counts += [(_count(*each).ljust(11), "bad") for each in _troubles(row)]
        tail = 45
    head = 2 + names + 1 + _STATES
    cells = max(width - head - tail - 2, 4)
    return (
        sign,
        (fit(row.name, names) + " ", "name"),
        (fit(told, _STATES), role),
        *bar(schedule, number, offset, cells),
        *counts,
    )


def _troubles(row: PartitionView) -> tuple[tuple[int, str], ...]:
    fault = "fault" if row.faults == 1 else "faults"
    return (row.denied, "denied"), (row.faults, fault), (row.missed, "missed")


def _count(count: int, word: str) -> str:
    return f"{count:>4} {word}" if count else ""


def _bad(row: PartitionView) -> str:
    """Whatever went wrong, one after the other."""
    told = [f"{count} {word}" for count, word in _troubles(row) if count]
    return "   " + " ".join(told) if told else ""


def code(
    view: CodeView, program: Program, sources: Sources, breakpoints: frozenset[int], width: int
) -> tuple[list[Line], int]:
    """Instructions with the source line above the first of each run of them; and which of these
    lines is the next instruction."""
    lines: list[Line] = []
    here, last, function = 0, None, ""
    digits = min(DIGITS[program.arch], 8)
    for each in view.instructions:
        place = each.place
        if place != last or each.function != function:
            lines += _source(place, each.function, each.function != function, sources, width)
            last, function = place, each.function
        now = each.address == view.counter
        if now:
            here = len(lines)
        sign = ("●" if each.address in breakpoints else " ") + ("▶" if now else " ")
        role: Role = "here" if now else "plain" if each.function else "dim"
        text = _with_symbols(each.text or "(no instruction)", program)
        room = width - digits - 4
        lines.append(
            line((sign, "here" if now else "bad"), (f"{each.address:0{digits}x}  ", "dim"),
                 (fit(text, room) if now else text[:room], role))
        )  # fmt: skip
    return lines, here


def _source(
    place: Place | None, function: str, entered: bool, sources: Sources, width: int
) -> list[Line]:
    if place is None:
        return [line((f"{function}:", "heading"))] if entered and function else []
    text = sources.line(place).strip()
    name = f"{PurePosixPath(place.file).name}:{place.line} "
    where = (f"{function}  " if entered and function else "") + name
    return [line((where, "name"), (text[: max(width - len(where), 0)], "heading"))]


def _with_symbols(text: str, program: Program) -> str:
    """Addresses in code get their symbols."""

    def named(found: re.Match[str]) -> str:
        symbol = program.symbol(int(found[0], 16))
        return f"{found[0]} <{symbol}>" if symbol else found[0]

    return _TARGET.sub(named, text)


def registers(view: CodeView, arch: Arch, width: int) -> list[Line]:
    """In columns; what the last move changed stands out."""
    if not view.registers:
        return [line(("has not run yet", "dim"))]
    digits = DIGITS[arch]
    cell = 7 + digits + 2
    columns = max((width + 2) // cell, 1)
    rows = -(-len(view.registers) // columns)
    lines: list[Line] = []
    for row in range(rows):
        spans: list[Span] = []
        for name, value, changed in view.registers[row::rows]:
            role: Role = "changed" if changed else "value"
            spans += [(f"{name:<7}", "dim"), (f"{value:0{digits}x}", role), ("  ", "plain")]
        lines.append(tuple(spans))
    return lines


def floats(view: CodeView, width: int) -> list[Line]:
    """Registers of floating point and vectors in columns, below the others."""
    cells = [(name, value[::-1].hex()) for name, value in view.floats]
    if not cells:
        return []
    cell = 7 + max(len(text) for _, text in cells) + 2
    columns = max((width + 2) // cell, 1)
    rows = -(-len(cells) // columns)
    lines: list[Line] = [line("")]
    for row in range(rows):
        spans: list[Span] = []
        for name, text in cells[row::rows]:
            spans += [(f"{name:<7}", "dim"), (text.ljust(cell - 7), "value")]
        lines.append(tuple(spans))
    return lines


def memory(view: CodeView, arch: Arch, width: int) -> list[Line]:
    """Sixteen bytes a line, eight where it is narrow."""
    if not view.memory:
        return [line((f"{view.address:#x}: nothing is mapped there", "dim"))]
    digits = min(DIGITS[arch], 8)
    step = 16 if width >= digits + 2 + 16 * 3 + 1 + 16 else 8
    lines: list[Line] = []
    for at in range(0, len(view.memory), step):
        data = view.memory[at : at + step]
        half = step // 2
        text = f"{data[:half].hex(' ')}  {data[half:].hex(' ')}".ljust(step * 3)
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
        lines.append(
            line((f"{view.address + at:0{digits}x}  ", "dim"), (text + "  ", "value"), shown)
        )
    return lines


def title(view: View, target: Target, busy: str, at_denials: bool, width: int) -> str:
    """The line at the top, as markup."""
    manifest = target.archive.manifest
    ns = view.position.tick * 1_000_000_000 // int(manifest["clock_hz"])
    board = f" on {manifest['board']}" if width >= 100 else ""
    time = f"{ns // 1_000_000}.{ns % 1_000_000:06} ms  frame {view.frames}"
    left = f"{manifest['system']}{board}   {time}"
    why = f"{busy} …" if busy else stopped_at(view.stop, target)
    denials = "" if at_denials else "   denials pass"
    room = max(width - len(left) - len(denials) - 3, 0)
    why = fit(why, room).strip() if len(why) > room else why
    gap = " " * max(width - len(left) - len(why) - len(denials), 1)
    return f"[b]{escape(left)}[/]{gap}[$text-warning]{escape(why)}[/]{denials}"


def stopped_at(stop: Stop, target: Target) -> str:
    """Why a system stands, in a word or two."""
    who = target.names[stop.partition] if stop.partition is not None else ""
    match stop.cause:
        case Cause.BREAKPOINT:
            return f"breakpoint in {who}"
        case Cause.CALL | Cause.RETURN:
            return f"hypercall of {who}"
        case Cause.EVENT:
            return f"{who}: {_event(stop)}" if who else _event(stop)
        case Cause.INTERRUPT:
            return "interrupted"
        case Cause.END:
            return "end of the run"
        case Cause.BEGIN:
            return "begin of the run"
        case _:
            return "stopped"


def _event(stop: Stop) -> str:
    """The event that it stopped behind, by kind."""
    if stop.record is None:
        return "event"
    event = decode(stop.record)
    denied = isinstance(event, Verdict) and not event.granted
    return "denied" if denied else event.kind.word
