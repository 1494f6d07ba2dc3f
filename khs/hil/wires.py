"""Wires between a plant's variables and what a system has: regions, pins, lines; and, in
khs.hil.signals, CAN.

A wire to the plant is an `InputWire`, one from it an `OutputWire`; what has both directions is
both. Each is called at the tick of a step; what a wire writes is an input of the run.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from khs.config.rules import suggest
from khs.engine.lines import Exchange
from khs.hil.bench import Bench, kind_of
from khs.hil.document import WireTable
from khs.hil.plant import PlantError, Value

if TYPE_CHECKING:
    from khs.hil.signals import Nodes

_FORMATS = {"u8": "<B", "i8": "<b", "u16": "<H", "i16": "<h", "u32": "<I", "i32": "<i", "u64": "<Q",
            "i64": "<q", "f32": "<f", "f64": "<d"}  # fmt: skip
_PINS = struct.Struct("<II")
#: A line of text without an end is given up after so many bytes.
_LINE_MOST = 4096


class InputWire(Protocol):
    """Of a variable that the system sets. `state`: what of it changes, for snapshots."""

    state: Any

    def hear(self, name: str, data: bytes) -> None:
        """What a device has sent."""
        ...

    def read(self) -> Value | None:
        """None if nothing has come that could change the variable."""
        ...


class OutputWire(Protocol):
    """Of a variable that the system sees; `state` likewise."""

    state: Any

    def write(self, tick: int, value: Value) -> None:
        """PlantError for a value that cannot be said there."""
        ...


class RegionWire:
    """A number in a region, little-endian; a value that it cannot hold is the nearest it can."""

    def __init__(
        self, bench: Bench, wire: WireTable, exchange: Exchange, regions: list[str]
    ) -> None:
        name = str(wire.region)
        if name not in regions:
            path = (*wire.path, "region")
            help = suggest(name, regions, "regions")
            raise bench.error(path, f'the system has no region "{name}"', help)
        self.state = None
        self._exchange, self._number = exchange, regions.index(name)
        self._offset, self._scale, self._bias = wire.offset, wire.scale, wire.bias
        self._format = struct.Struct(_FORMATS[wire.type_])
        self._is_float = wire.type_.startswith("f")
        self._wire = wire
        target = exchange.host.region_target(self._number)
        if target is None:
            help = "a region without code"
            raise bench.error(
                (*wire.path, "region"), f"{name} holds code, which never changes", help
            )
        self._target = target
        if self._bytes() is None:
            message = f"{name} ends before offset {wire.offset} + {self._format.size}"
            raise bench.error((*wire.path, "offset"), message, "an offset within the region")

    def _bytes(self) -> bytes | None:
        return self._exchange.host.read_region(self._number, self._offset, self._format.size)

    def hear(self, name: str, data: bytes) -> None:
        pass

    def read(self) -> Value | None:
        data = self._bytes()
        assert data is not None, "checked before"
        (value,) = self._format.unpack(data)
        return float(value) * self._scale + self._bias

    def write(self, tick: int, value: Value) -> None:
        number = (float(value) - self._bias) / self._scale
        data = self._offset.to_bytes(8, "little") + self._packed(number)
        self._exchange.add(tick, self._target, data)

    def _packed(self, number: float) -> bytes:
        if self._is_float:
            try:
                return self._format.pack(number)
            except OverflowError:
                return self._format.pack(math.copysign(math.inf, number))
        if math.isnan(number):
            raise PlantError("it is not a number, and memory is to hold an integer")
        bits = 8 * self._format.size
        low, high = (
            (0, 2**bits - 1)
            if self._wire.type_[0] == "u"
            else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        clipped = low if number <= low else high if number >= high else round(number)
        return self._format.pack(clipped)


class PinInput:
    """A pin that the guest drives; the records of GPIO controllers are a mask of pins and their
    levels."""

    def __init__(self, name: str, pin: int) -> None:
        self._name, self._bit = name, 1 << pin
        #: The beginning of a record, and the level.
        self.state: tuple[bytes, bool | None] = b"", None

    def hear(self, name: str, data: bytes) -> None:
        if name != self._name:
            return
        part, level = self.state
        data = part + data
        whole = len(data) - len(data) % _PINS.size
        for mask, levels in _PINS.iter_unpack(data[:whole]):
            if mask & self._bit:
                level = bool(levels & self._bit)
        self.state = data[whole:], level

    def read(self) -> Value | None:
        return self.state[1]


class PinOutput:
    """A pin that the plant drives, told of when its level changes."""

    def __init__(self, exchange: Exchange, name: str, pin: int) -> None:
        self._exchange, self._name, self._bit = exchange, name, 1 << pin
        #: The level.
        self.state: bool | None = None

    def write(self, tick: int, value: Value) -> None:
        level = bool(value)
        if level is not self.state:
            self.state = level
            record = _PINS.pack(self._bit, self._bit if level else 0)
            self._exchange.put(self._name, tick, record)


class TextInput:
    """What comes on a serial line: the last line that the pattern fits."""

    def __init__(self, bench: Bench, wire: WireTable) -> None:
        self._name, self._pattern = str(wire.serial), _pattern(bench, wire)
        #: The beginning of a line, and the value.
        self.state: tuple[bytes, float | None] = b"", None

    def hear(self, name: str, data: bytes) -> None:
        if name != self._name:
            return
        part, value = self.state
        *lines, part = (part + data).split(b"\n")
        for line in lines:
            found = self._pattern.search(line.decode("ascii", "replace"))
            number = None if found is None else _number(found[1])
            value = value if number is None else number
        self.state = part[-_LINE_MOST:], value

    def read(self) -> Value | None:
        return self.state[1]


class TextOutput:
    """Text on a serial line, sent at each step."""

    state = None

    def __init__(
        self, bench: Bench, wire: WireTable, exchange: Exchange, kind: type | None
    ) -> None:
        self._exchange, self._name = exchange, str(wire.serial)
        self._format = str(wire.format_)
        if kind is not None:
            _check_format(bench, wire, kind)

    def write(self, tick: int, value: Value) -> None:
        try:
            text = self._format.format(value).encode()
        except (ValueError, OverflowError, TypeError, AttributeError, LookupError) as error:
            raise PlantError(f"format {self._format!r} does not take it: {error}") from error
        self._exchange.put(self._name, tick, text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _pattern(bench: Bench, wire: WireTable) -> re.Pattern[str]:
    try:
        made = re.compile(str(wire.pattern))
    except re.error as error:
        raise bench.error((*wire.path, "pattern"), f"no regular expression: {error}", "") from error
    if made.groups != 1:
        help = 'one, around the number: "SET ([-0-9.]+)"'
        raise bench.error((*wire.path, "pattern"), f"it has {made.groups} groups", help)
    return made


def _check_format(bench: Bench, wire: WireTable, kind: type) -> None:
    try:
        str(wire.format_).format(kind())
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        message = f"the format does not take one value of type {kind.__name__}: {error}"
        raise bench.error((*wire.path, "format"), message, 'as in "SPEED {:.1f}\\n"') from error


@dataclass(frozen=True)
class Connector:
    """Makes the wires of tables to variables of type `kind`, None if that is not known. ConfigError
    if there is no such thing."""

    bench: Bench
    exchange: Exchange
    manifest: Mapping[str, Any]
    nodes: Nodes

    def input(self, wire: WireTable, kind: type | None) -> InputWire:
        """To the plant."""
        match kind_of(wire):
            case "region":
                return self._region(wire, kind)
            case "can":
                return self.nodes.input(self._signal(wire, kind))
            case "gpio":
                return PinInput(self._device(wire, "gpio"), wire.pin)
            case _:
                self._device(wire, "serial")
                return TextInput(self.bench, wire)

    def output(self, wire: WireTable, kind: type | None) -> OutputWire:
        """From the plant."""
        match kind_of(wire):
            case "region":
                return self._region(wire, kind)
            case "can":
                return self.nodes.output(self._signal(wire, kind))
            case "gpio":
                return PinOutput(self.exchange, self._device(wire, "gpio"), wire.pin)
            case _:
                self._device(wire, "serial")
                return TextOutput(self.bench, wire, self.exchange, kind)

    def _region(self, wire: WireTable, kind: type | None) -> RegionWire:
        if kind is str:
            message = "memory holds numbers, and this is a text"
            raise self.bench.error(wire.path, message, "a serial line")
        return RegionWire(self.bench, wire, self.exchange, self.manifest["names"]["regions"])

    def _signal(self, wire: WireTable, kind: type | None) -> WireTable:
        if kind is str:
            message = "signals are numbers, and this is a text"
            raise self.bench.error(wire.path, message, "a serial line")
        return wire

    def _device(self, wire: WireTable, what: str) -> str:
        name, ports = str(getattr(wire, what)), self.exchange.devices.ports
        if name not in ports:
            help = suggest(name, ports, "devices of partitions")
            message = f'no partition has a device "{name}"'
            raise self.bench.error((*wire.path, what), message, help)
        return name
