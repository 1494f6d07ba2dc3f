"""Files of CAN frames as `candump -L` writes them: what is on the buses of a run (`--can-log`), and
frames that come from one: `--can PARTITION.DEVICE=file:IN.log`.

    (12.345678) field 123#DEADBEEF R

is a time in seconds, a bus, a frame, and, which may be missing, R for one that came from outside
or T for one that a controller of the system sent. Behind the file may stand

    file:IN.log?bus=can0      frames of this bus alone; if there are several, one has to be named
    file:IN.log?only=R        those that came to whoever wrote it, or (T) that one sent
    file:IN.log?begin=10ms    the first comes then, and the others as long after it as there
    file:IN.log?errors=yes    reports of protocol errors (CAN_ERR_PROT) destroy frames here, too

Without `begin` times are virtual time, as in a log of KHS; of a clock on the wall (from 10^9
seconds on) the first is power-on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import parse_qsl

from khs.config.rules import suggest
from khs.config.units import Duration, UnitError
from khs.engine.lines import Exchange
from khs.engine.native import NEVER
from khs.errors import KhsError, shown
from khs.hil.frames import ERROR, PROTOCOL, RECORD, THERE, Frame, frames

_LINE = re.compile(
    r"\((\d{1,12})(?:\.(\d{1,9}))?\)\s+(\S+)\s+([0-9A-Fa-f]{1,8})#(\S*)(?:\s+([RT]))?", re.ASCII
)
_DATA = re.compile(r"((?:[0-9A-Fa-f]{2})*)(?:_[0-9A-Fa-f])?")
_REMOTE = re.compile(r"R([0-9]?)")
_WALL_CLOCK_NS = 10**18
_FILTERS = ("bus", "only", "begin", "errors")

#: Tick and record.
_Due = tuple[int, bytes]


def is_file(join: str) -> bool:
    """Whether a bus is joined to a file."""
    return join.startswith("file:")


def beside(path: Callable[[str], str], join: str) -> str:
    """What a bench says, with the file where `path` has it."""
    return f"file:{path(join.removeprefix('file:'))}" if is_file(join) else join


# ---- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """A line. `record`: None for a frame of CAN FD, and a report of other errors than those of
    frames; `is_error`: of such."""

    number: int
    ns: int
    bus: str
    record: bytes | None
    is_error: bool
    direction: str


@dataclass(frozen=True)
class _Asked:
    """What is taken of a file."""

    path: Path
    bus: str | None
    only: str | None
    begin_ns: int | None
    errors: bool


def _asked(join: str) -> _Asked:
    """ValueError if there is no such filter."""
    place, _, query = join.removeprefix("file:").partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    for name in given:
        if name not in _FILTERS:
            raise ValueError(f"there is no {name}=; {suggest(name, _FILTERS, 'filters')}")
    if given.get("only", "R") not in ("R", "T"):
        raise ValueError(f"only={given['only']}: R, what came from outside, or T, what was sent")
    try:
        begin = Duration.parse(given["begin"]).value if "begin" in given else None
    except UnitError as error:
        raise ValueError(f"begin={given['begin']}: {error}") from error
    if given.get("errors", "no") not in ("yes", "no"):
        raise ValueError(f"errors={given['errors']}: yes or no")
    errors = given.get("errors") == "yes"
    return _Asked(Path(place), given.get("bus"), given.get("only"), begin, errors)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(path, number, line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise KhsError(f"{shown(path)}: {getattr(error, 'strerror', None) or error}") from error


def _row(path: Path, number: int, line: str) -> _Row:
    found = _LINE.fullmatch(line)
    try:
        if found is None:
            raise ValueError("no frame with its time and bus")
        seconds, rest, bus, identifier, data, direction = found.groups()
        ns = int(seconds) * 10**9 + int((rest or "").ljust(9, "0"))
        is_error = len(identifier) > 3 and bool(int(identifier, 16) & ERROR)
        record = _error(identifier, data) if is_error else _frame(identifier, data)
        return _Row(number, ns, bus, record, is_error, direction or "")
    except ValueError as error:
        help = 'as candump -L has it: "(12.345678) can0 123#DEADBEEF"'
        raise KhsError(f"{shown(path)}:{number}: {error}\n  help: {help}") from error


def _frame(identifier: str, data: str) -> bytes | None:
    """None for one of CAN FD."""
    number, extended = int(identifier, 16), len(identifier) > 3
    if data.startswith("#"):
        return None
    if remote := _REMOTE.fullmatch(data):
        return Frame(number, b"", extended, True, int(remote[1] or 0)).record
    return Frame(number, _bytes(data), extended).record


def _error(identifier: str, data: str) -> bytes | None:
    """None for a report of what destroys no frame."""
    number, told = int(identifier, 16), _bytes(data)
    return RECORD.pack(ERROR | PROTOCOL, 8, told[:8]) if number & PROTOCOL else None


def _bytes(data: str) -> bytes:
    told = _DATA.fullmatch(data)
    if told is None:
        raise ValueError(f'"{data}" is no data: pairs of hexadecimal digits, or R for remote')
    return bytes.fromhex(told[1])


def read_frames(join: str, clock_hz: int, say: Callable[[str], object]) -> list[_Due]:
    """Records of the file's frames with their ticks; `say` is told of those that are none of CAN
    2.0. KhsError with the place of what is wrong."""
    try:
        asked = _asked(join)
    except ValueError as error:
        help = "file:IN.log, and behind it ?bus=NAME, ?only=R, ?begin=10ms, or several with &"
        raise KhsError(f"{join}: {error}\n  help: {help}") from error
    rows = [row for row in _rows(asked.path) if asked.bus in (None, row.bus)]
    _check_bus(asked, rows)
    rows = [row for row in rows if asked.only is None or row.direction == asked.only]
    if left := sum(_left_out(asked, row) for row in rows):
        say(f"{shown(asked.path)}: {left} frames there were none of CAN 2.0")
    return list(_timed(asked, rows, clock_hz))


def _left_out(asked: _Asked, row: _Row) -> bool:
    return row.record is None or (row.is_error and not asked.errors)


def _check_bus(asked: _Asked, rows: Sequence[_Row]) -> None:
    """A file that holds frames without a direction says so if one is asked for."""
    buses = sorted({row.bus for row in rows})
    if asked.bus is not None and not rows:
        known = ", ".join(sorted({row.bus for row in _rows(asked.path)})) or "nothing"
        raise KhsError(f"{shown(asked.path)}: no bus {asked.bus}\n  help: there is {known}")
    if len(buses) > 1:
        raise KhsError(
            f"{shown(asked.path)}: frames of {', '.join(buses)}\n"
            f"  help: one of them: file:{asked.path}?bus={buses[0]}"
        )
    unknown = next((row for row in rows if not row.direction), None)
    if asked.only is not None and unknown is not None:
        raise KhsError(
            f"{shown(asked.path)}:{unknown.number}: neither R nor T, and only={asked.only}\n"
            "  help: candump -L -x and --can-log write it"
        )


def _timed(asked: _Asked, rows: Sequence[_Row], clock_hz: int) -> Iterator[_Due]:
    if not rows:
        return
    begin = asked.begin_ns
    if begin is None and rows[0].ns >= _WALL_CLOCK_NS:
        begin = 0
    later = 0 if begin is None else begin - rows[0].ns
    last = rows[0].ns
    for row in rows:
        if row.ns < last:
            help = "in the order of time, as sort -s -k1,1 makes it"
            place = f"{shown(asked.path)}:{row.number}"
            raise KhsError(f"{place}: it is before the frame above it\n  help: {help}")
        last = row.ns
        tick = (row.ns + later) * clock_hz // 10**9
        if tick >= NEVER:
            raise KhsError(f"{shown(asked.path)}:{row.number}: that time is never")
        if row.record is not None and not _left_out(asked, row):
            yield tick, row.record


class FileFrames:
    """A party of an exchange: all other nodes of a bus, as a file has what they sent. They
    acknowledge from power-on, also behind the last frame."""

    def __init__(
        self, bus: str, join: str, clock_hz: int, say: Callable[[str], object] = lambda line: None
    ) -> None:
        """KhsError if the file is none."""
        self._bus = bus
        self._due = read_frames(join, clock_hz, say)
        self._given = 0
        self._exchange: Exchange | None = None

    def join(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.put(exchange.devices.buses[self._bus].name, 0, THERE)

    def next(self, tick: int) -> int:
        if self._given == len(self._due):
            return NEVER
        return max(self._due[self._given][0], tick + 1)

    def meet(self, tick: int) -> None:
        assert self._exchange is not None
        name = self._exchange.devices.buses[self._bus].name
        while self._given < len(self._due) and self._due[self._given][0] <= tick:
            self._exchange.put(name, tick, self._due[self._given][1])
            self._given += 1

    def hear(self, name: str, data: bytes) -> None:
        """What is recorded does not answer."""

    def save(self) -> int:
        return self._given

    def restore(self, saved: int, tick: int) -> None:
        self._given = saved

    def close(self) -> None:
        """Nothing is open."""


# ---- writing -----------------------------------------------------------------------------------


class _Overhearing:
    """On a bus, for what comes from outside."""

    def __init__(self, log: CanLog, bus: str) -> None:
        self._log, self._bus = log, bus

    def overhear(self, tick: int, data: bytes) -> None:
        for frame in frames(data):
            self._log.write(tick, self._bus, frame, "R")


class CanLog:
    """A party of an exchange that writes down what is on all buses: what controllers send with the
    tick of its end, and what comes from outside with that at which it came."""

    def __init__(self, path: Path) -> None:
        """KhsError if it cannot be written."""
        self._exchange: Exchange | None = None
        self._buses: dict[str, str] = {}
        try:
            self._file: TextIO = path.open("w", encoding="ascii", errors="replace")
        except OSError as error:
            raise KhsError(f"{shown(path)}: cannot be written: {error.strerror}") from error

    def join(self, exchange: Exchange) -> None:
        self._exchange = exchange
        for bus, port in exchange.devices.buses.items():
            self._buses[port.name] = re.sub(r"\s", "_", bus)
            exchange.join(port.name, _Overhearing(self, self._buses[port.name]))

    def write(self, tick: int, bus: str, frame: Frame, direction: str) -> None:
        assert self._exchange is not None
        at = tick * 10**6 // self._exchange.clock_hz
        try:
            self._file.write(f"({at // 10**6}.{at % 10**6:06}) {bus} {frame} {direction}\n")
        except OSError as error:
            raise KhsError(f"{self._file.name}: cannot be written: {error.strerror}") from error

    def hear(self, name: str, data: bytes) -> None:
        if name in self._buses and self._exchange is not None:
            ticks = self._exchange.devices.sent_at[name]
            for tick, frame in zip(ticks, frames(data), strict=True):
                self.write(tick, self._buses[name], frame, "T")

    def next(self, tick: int) -> int:
        return NEVER

    def meet(self, tick: int) -> None:
        """Everything is told as it comes."""

    def save(self) -> int:
        return self._file.tell()

    def restore(self, saved: int, tick: int) -> None:
        self._file.seek(saved)
        self._file.truncate()

    def close(self) -> None:
        self._file.close()
