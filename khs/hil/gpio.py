"""What pins of partitions are joined to: `--gpio PARTITION.DEVICE=SPEC`.

    file:IN          what comes to the pins, each change at its time
    file:IN,OUT      and what the guest drives them to goes to OUT; either may be left out
    CHIP:3=17,4=27   lines of a Linux GPIO chip by gpiod: pin 3 is line 17 of it, pin 4 line 27

Both files have a change in each line: a time (`12ms`) or a tick, and pins with their levels. `#`
begins a comment. What one run writes, another may read:

    12ms    3=1 4=0
    1625000 3=0

A line of a chip is an input until the guest drives its pin, and an output from then on.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from khs.config.units import Duration, UnitError
from khs.engine.lines import Exchange, Line, Party
from khs.engine.native import NEVER
from khs.errors import KhsError, shown
from khs.hil.bench import Bench
from khs.hil.gpio_lines import open_lines
from khs.hil.serial import LiveLine, Say

#: The kind of device that has pins.
GPIO = "imx-gpio"
PINS = 32
#: A mask of pins, and their levels.
RECORD = struct.Struct("<II")
_HELP = "file:IN,OUT, or lines of a chip as in gpiochip0:3=17,4=27"

#: Tick, mask, levels.
Change = tuple[int, int, int]


def is_live(spec: str) -> bool:
    """Whether somebody is there who needs time."""
    return not spec.startswith("file:")


def beside(bench: Bench, spec: str) -> str:
    """What a bench says, with the files where it lies."""
    if is_live(spec):
        return spec
    files = spec.removeprefix("file:").split(",")
    return "file:" + ",".join(bench.path(file) if file else "" for file in files)


def read_changes(path: Path, clock_hz: int) -> list[Change]:
    """The changes of a file. KhsError with the place of what is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise KhsError(f"{shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start) + 1
        help = 'lines such as "12ms 3=1 4=0"'
        raise KhsError(f"{shown(path)}:{row}: this is no text\n  help: {help}") from error
    found: list[Change] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            tick = _tick(words[0], clock_hz)
            change = (tick, *_levels(words[1:]))
            if found and tick < found[-1][0]:
                raise ValueError(f"{words[0]} is before the change above it")
        except ValueError as error:
            raise KhsError(
                f'{shown(path)}:{number}: {error}\n  help: a time and pins, as in "12ms 3=1 4=0"'
            ) from error
        found.append(change)
    return found


def _tick(word: str, clock_hz: int) -> int:
    if word.isascii() and word.isdigit():
        tick = int(word)
    else:
        try:
            tick = Duration.parse(word).value * clock_hz // 1_000_000_000
        except UnitError as error:
            raise ValueError(str(error)) from error
    if tick >= NEVER:
        raise ValueError(f"{word} is never")
    return tick


def _levels(words: Sequence[str]) -> tuple[int, int]:
    mask = levels = 0
    for word in words:
        pin, _, level = word.partition("=")
        if not (pin.isascii() and pin.isdigit() and int(pin) < PINS and level in ("0", "1")):
            raise ValueError(f'"{word}" is no pin of 0 to {PINS - 1} with a level of 0 or 1')
        if mask >> int(pin) & 1:
            raise ValueError(f"pin {int(pin)} has a level already")
        mask |= 1 << int(pin)
        levels |= int(level) << int(pin)
    if not words:
        raise ValueError("no pin changes")
    return mask, levels


class FilePins:
    """A party of an exchange: gives the changes of IN at their ticks, and writes OUT."""

    def __init__(self, name: str, spec: str, clock_hz: int) -> None:
        """KhsError if a file is none, or cannot be."""
        given, _, kept = spec.partition(",")
        if not given and not kept:
            raise KhsError(f"--gpio {name}=file:{spec}: no file\n  help: {_HELP}")
        self._name = name
        self._changes = read_changes(Path(given), clock_hz) if given else []
        self._given = 0
        self._out: IO[str] | None = None
        self._exchange: Exchange | None = None
        try:
            if kept:
                self._out = Path(kept).open("w", encoding="utf-8")  # noqa: SIM115 - by close
        except OSError as error:
            raise KhsError(f"--gpio {name}: {shown(kept)}: {error.strerror}") from error

    def join(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def next(self, tick: int) -> int:
        if self._given == len(self._changes):
            return NEVER
        return max(self._changes[self._given][0], tick + 1)

    def meet(self, tick: int) -> None:
        assert self._exchange is not None
        while self._given < len(self._changes) and self._changes[self._given][0] <= tick:
            self._exchange.put(self._name, tick, RECORD.pack(*self._changes[self._given][1:]))
            self._given += 1

    def hear(self, name: str, data: bytes) -> None:
        if name != self._name or self._out is None or self._exchange is None:
            return
        ticks = self._exchange.devices.sent_at[name]
        for tick, (mask, levels) in zip(ticks, RECORD.iter_unpack(data), strict=True):
            pins = (pin for pin in range(PINS) if mask >> pin & 1)
            text = " ".join(f"{pin}={levels >> pin & 1}" for pin in pins)
            try:
                self._out.write(f"{tick} {text}\n")
            except OSError as error:
                raise KhsError(f"{self._out.name}: cannot be written: {error.strerror}") from error

    def save(self) -> tuple[int, int]:
        return self._given, 0 if self._out is None else self._out.tell()

    def restore(self, saved: tuple[int, int], tick: int) -> None:
        self._given, written = saved
        if self._out is not None:
            self._out.seek(written)
            self._out.truncate()

    def close(self) -> None:
        if self._out is not None:
            self._out.close()


class Pins:
    """All that is joined to pins: live `lines`, and files, which are parties."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.files: list[FilePins] = []

    def parties(self, exchange: Exchange) -> list[Party]:
        for each in self.files:
            each.join(exchange)
        return [*self.files]


@contextlib.contextmanager
def opened(specs: Mapping[str, str], manifest: Mapping[str, Any], say: Say) -> Iterator[Pins]:
    """Everything that `--gpio` names, closed afterwards; `say` is told of chips that go away.
    KhsError if something cannot be opened."""
    pins = Pins()
    with contextlib.ExitStack() as stack:
        for name, spec in specs.items():
            if not is_live(spec):
                file = FilePins(name, spec.removeprefix("file:"), int(manifest["clock_hz"]))
                stack.callback(file.close)
                pins.files.append(file)
                continue
            line = LiveLine(name, open_lines(name, *_chip(name, spec)), say)
            stack.callback(line.close)
            pins.lines[name] = line
        yield pins


def _chip(name: str, spec: str) -> tuple[str, dict[int, int]]:
    """CHIP:PIN=LINE,...: the chip, and lines by pin."""
    chip, colon, rest = spec.rpartition(":")
    lines: dict[int, int] = {}
    try:
        if not chip or not colon:
            raise ValueError("no chip with its lines")
        for word in rest.split(","):
            _add(lines, word)
    except ValueError as error:
        raise KhsError(f"--gpio {name}={spec}: {error}\n  help: {_HELP}") from error
    return chip if "/" in chip else f"/dev/{chip}", lines


def _add(lines: dict[int, int], word: str) -> None:
    pin, _, line = word.partition("=")
    if not all(part.isascii() and part.isdigit() for part in (pin, line)) or int(pin) >= PINS:
        raise ValueError(f'"{word}" is no PIN=LINE with a pin of 0 to {PINS - 1}')
    if int(pin) in lines or int(line) in lines.values():
        raise ValueError(f'"{word}": the pin or the line is joined already')
    lines[int(pin)] = int(line)
