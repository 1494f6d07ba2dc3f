"""An explained fault in words: `khs explain --fault`."""

from __future__ import annotations

from collections.abc import Iterator

from khs.config.model import Arch
from khs.debug.fault import Explained
from khs.debug.program import DIGITS
from khs.trace import text

_COLUMNS = 4  # registers in a row


def lines(told: Explained, arch: Arch) -> Iterator[str]:
    """Who, when, what; place, access, backtrace, registers, hypercalls, and what came of it."""
    fault, names = told.fault, told.names
    who, when = names.partition(fault.partition), names.ms(fault.tick)
    yield f"{who}, at {when} ms, frame {told.frame}: {text.fault(fault, names)[10:]}"
    if told.health:
        yield f"health monitor: {told.health}"
    yield ""
    yield from _code(told, arch)
    if told.access():
        yield ""
        yield told.access()
    yield ""
    yield "backtrace"
    yield from _backtrace(told, arch)
    yield ""
    yield "registers before it"
    yield from _registers(told, arch)
    yield ""
    count = len(told.calls)
    yield f"hypercalls before it, the last {count} of {who}" if count else "no hypercall before it"
    for call in told.calls:
        yield f"  {names.ms(call.tick):>13} ms  {text.describe(call, names)}"


def _code(told: Explained, arch: Arch) -> Iterator[str]:
    place = told.backtrace[0].place
    if place is not None:
        yield f"{place.file}:{place.line}" + (f"  {told.source}" if told.source else "")
    if not told.code:
        yield f"  there is no code at {told.backtrace[0].address:#x}"
    for each in told.code:
        sign = "▶" if each.address == told.fault.pc else " "
        words = each.text or f"(no instruction: {each.data.hex(' ')})"
        yield f"  {sign} {each.address:0{DIGITS[arch]}x}  {words}"


def _backtrace(told: Explained, arch: Arch) -> Iterator[str]:
    for number, frame in enumerate(told.backtrace):
        name = frame.symbol or "in no function"
        where = f"  {frame.place.file}:{frame.place.line}" if frame.place else ""
        doubt = "  (if it was called)" if told.guessed and number == 1 else ""
        yield f"  #{number:<2} {frame.address:0{DIGITS[arch]}x}  {name}{where}{doubt}"
    if told.end:
        yield f"      {told.end}"


def _registers(told: Explained, arch: Arch) -> Iterator[str]:
    cells = [f"{name:<7}{value:0{DIGITS[arch]}x}" for name, value in told.registers.items()]
    for at in range(0, len(cells), _COLUMNS):
        yield "  " + "  ".join(cells[at : at + _COLUMNS])
