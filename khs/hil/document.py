"""What may stand in a bench.toml: one class a table, one field a key; see khs.config.document."""

from __future__ import annotations

# ruff: noqa: RUF009  -- key() is dataclasses.field with a description
from dataclasses import dataclass
from typing import Literal

from khs.config.document import Table, key
from khs.config.units import Duration

TypeName = Literal["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]


@dataclass(frozen=True, kw_only=True)
class BenchTable(Table):
    """The bench as a whole. Paths are relative to the folder of the document."""

    system: str = key("folder of system.toml, a TOML file, an archive, or a shipped system", ".")
    pace: str | None = key(
        '"fast", "real" or "outside:SOCKET"', None, shows='"real" with live lines, else "fast"'
    )
    max_slip: Duration | None = key("a frame that ends later than that fails the run", None)


@dataclass(frozen=True, kw_only=True)
class BusTable(Table):
    """A CAN bus."""

    nodes: tuple[str, ...] = key("controllers on it, PARTITION.DEVICE")
    join: str | None = key(
        "what else is on it, INTERFACE:CHANNEL of python-can, or file:IN.log", None
    )
    dbc: str | None = key("description of its messages", None)


@dataclass(frozen=True, kw_only=True)
class WireTable(Table):
    """Where a variable of a plant comes from, or goes: one of region, gpio, can and serial."""

    region: str | None = key("region of memory", None)
    offset: int = key("region: where in it, in bytes", 0)
    type_: TypeName = key("region: how it stands there, little-endian", "i32")
    scale: float = key("region: the variable is what stands there, times this", 1.0)
    bias: float = key("region: and plus this", 0.0)
    gpio: str | None = key("PARTITION.DEVICE", None)
    pin: int = key("gpio: its number", 0)
    can: str | None = key("bus, a [can.NAME]", None)
    message: str | None = key("can: message of the bus' DBC", None)
    signal: str | None = key("can: signal of the message", None)
    serial: str | None = key("PARTITION.DEVICE", None)
    format_: str | None = key("serial, outputs: a format of Python that gives the text sent", None)
    pattern: str | None = key("serial, inputs: a regular expression; its group is the value", None)


@dataclass(frozen=True, kw_only=True)
class PlantTable(Table):
    """A plant: an FMU, or a class in Python."""

    fmu: str | None = key("file of an FMU for co-simulation", None)
    python: str | None = key("FILE[:CLASS], derived from khs.hil.Plant", None)
    step: str = key('"frame", "window", or a time such as "1ms"', "frame")
    start: dict[str, object] = key("parameters", {})
    inputs: dict[str, WireTable] = key("variables that the system sets", {})
    outputs: dict[str, WireTable] = key("variables that the system sees", {})


@dataclass(frozen=True, kw_only=True)
class BenchDocument(Table):
    """bench.toml"""

    format: int = key("1")
    bench: BenchTable = key("the bench as a whole", BenchTable())
    serial: dict[str, str] = key("serial lines, PARTITION.DEVICE = URL", {})
    device: dict[str, str] = key("models in Python, PARTITION.DEVICE = FILE[:CLASS]", {})
    gpio: dict[str, str] = key("pins, PARTITION.DEVICE = what --gpio takes", {})
    can: dict[str, BusTable] = key("CAN buses", {})
    plant: dict[str, PlantTable] = key("plants", {})
