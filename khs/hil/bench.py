"""bench.toml: a system, what its devices are joined to, and the plants around it.

bench = read(path)      the document, or a ConfigError with everything wrong in it
bench.error(path, ...)  an error at the place of one of its values
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.config import toml
from khs.config.document import Keys
from khs.config.read import Reader, dotted
from khs.config.rules import Problem, Rule, finding, suggest
from khs.config.toml import Source
from khs.config.units import Duration, UnitError
from khs.errors import ConfigError, Finding
from khs.hil.document import BenchDocument, PlantTable, WireTable
from khs.resources import shipped

FORMAT = 1
_RULE = Rule("BENCH-001", "error", "A bench names what there is.")
_KINDS = ("region", "gpio", "can", "serial")
#: What of a wire belongs to which kind.
_OWN = {
    "region": ("offset", "type", "scale", "bias"),
    "gpio": ("pin",),
    "can": ("message", "signal"),
    "serial": ("format", "pattern"),
}


@dataclass(frozen=True)
class Bench:
    """A bench as its file has it."""

    file: Path
    source: Source
    document: BenchDocument

    @property
    def system(self) -> str:
        """What `khs run` takes."""
        named = self.document.bench.system
        at = self.file.parent / named
        return str(at) if at.exists() else named

    def path(self, named: str) -> str:
        """A path of the document."""
        return str(self.file.parent / named)

    def finding(self, path: Keys, message: str, help: str, *, at_key: bool = False) -> Finding:
        problem = Problem(path, message, help, at_key)
        return finding(self.source, str(self.file), _RULE, problem)

    def error(self, path: Keys, message: str, help: str, *, at_key: bool = False) -> ConfigError:
        """An error at the value there, or at its key."""
        return ConfigError([self.finding(path, message, help, at_key=at_key)])

    def place(self, path: Keys) -> str:
        """FILE:LINE of the value there."""
        return self.finding(path, "", "").words().partition(": ")[0]


def kind_of(wire: WireTable) -> str:
    """Which of region, gpio, can and serial it is."""
    return next(kind for kind in _KINDS if getattr(wire, kind) is not None)


def step_of(plant: PlantTable) -> str | int:
    """ "frame", "window" or nanoseconds."""
    return plant.step if plant.step in ("frame", "window") else Duration.parse(plant.step).value


def read(file: Path) -> Bench:
    """ConfigError with all that is wrong in the file itself."""
    file = _found(file)
    source = toml.read(file)
    reader = Reader(source, str(file))
    document: BenchDocument = reader.document(BenchDocument)
    if reader.findings:
        raise ConfigError(reader.findings)
    bench = Bench(file, source, document)
    problems = [bench.finding(*problem) for problem in _problems(document)]
    if problems:
        raise ConfigError(problems)
    return bench


def _found(named: Path) -> Path:
    """A file, a folder with a bench.toml, or the name of a shipped system that has one."""
    if named.is_dir():
        return named / "bench.toml"
    ours = shipped("images") / named / "bench.toml"
    return ours if not named.exists() and len(named.parts) == 1 and ours.is_file() else named


_Problem = tuple[Keys, str, str]


def _problems(document: BenchDocument) -> Iterator[_Problem]:
    if document.format != FORMAT:
        yield ("format",), f"format {document.format} is not known", f"format = {FORMAT}"
    for plant in document.plant.values():
        yield from _of_plant(plant)
        for wire in (*plant.inputs.values(), *plant.outputs.values()):
            yield from _of_wire(wire, wire.path[-2] == "inputs", document)
    yield from _overlaps(document)


def _of_plant(plant: PlantTable) -> Iterator[_Problem]:
    if (plant.fmu is None) == (plant.python is None):
        both = "both" if plant.fmu is not None else "neither"
        yield plant.path, f"{dotted(plant.path)} has {both} of fmu and python", "one of them"
    try:
        if not step_of(plant):
            raise UnitError("a step takes time", 'as in "1ms"')
    except UnitError as error:
        help = f'"frame", "window" or a time; {error.help}'
        yield (*plant.path, "step"), str(error), help


def _of_wire(wire: WireTable, is_input: bool, document: BenchDocument) -> Iterator[_Problem]:
    path = wire.path
    kinds = [kind for kind in _KINDS if getattr(wire, kind) is not None]
    if len(kinds) != 1:
        told = " and ".join(kinds) or "nothing"
        yield path, f"{dotted(path)} is wired to {told}", f"one of {', '.join(_KINDS)}"
        return
    (kind,) = kinds
    alien = {key for each, keys in _OWN.items() if each != kind for key in keys}
    for key in sorted(alien):
        if _is_set(wire, key):
            keys = ", ".join((kind, *_OWN[kind]))
            yield (*path, key), f"{key} is not for a wire to {kind}", f"keys here: {keys}"
    if kind == "region":
        yield from _of_region(wire)
    if kind == "gpio" and not 0 <= wire.pin < 32:
        yield (*path, "pin"), f"there is no pin {wire.pin}", "0 to 31"
    if kind == "can":
        yield from _of_can(wire, document)
    wanted = "pattern" if is_input else "format"
    if kind == "serial" and not _is_set(wire, wanted):
        example = '"SET ([-0-9.]+)"' if is_input else '"SPEED {:.1f}\\n"'
        yield path, f"{dotted(path)} has no {wanted}", f"{wanted} = {example}"


def _of_region(wire: WireTable) -> Iterator[_Problem]:
    wrong = {
        "offset": (wire.offset < 0, "an offset in bytes"),
        "scale": (wire.scale == 0 or not math.isfinite(wire.scale), "what 1 in memory stands for"),
        "bias": (not math.isfinite(wire.bias), "what 0 in memory stands for"),
    }
    for name, (is_wrong, help) in wrong.items():
        if is_wrong:
            yield (*wire.path, name), f"{name} {getattr(wire, name):g} is none", help


def _overlaps(document: BenchDocument) -> Iterator[_Problem]:
    """Two outputs that are written to one place: the later one would always win. An output that is
    written over an input: the plant would read what it wrote, not what the system did."""
    taken: list[tuple[tuple[object, ...], range, WireTable]] = []
    for plant in document.plant.values():
        for wire in plant.outputs.values():
            what, place = _target(wire)
            for other, its, first in taken:
                if what == other and place.start < its.stop and its.start < place.stop:
                    message = f"{dotted(wire.path)} is written where {dotted(first.path)} is"
                    yield wire.path, message, "a place of its own for each output"
            if what:
                taken.append((what, place, wire))
    for plant in document.plant.values():
        for wire in plant.inputs.values():
            what, place = _target(wire)
            for other, its, first in taken if wire.region is not None else ():
                if what == other and place.start < its.stop and its.start < place.stop:
                    message = f"{dotted(wire.path)} is read where {dotted(first.path)} is written"
                    yield wire.path, message, "a place of its own for each wire"


def _target(wire: WireTable) -> tuple[tuple[object, ...], range]:
    """What an output is written to, and where in it; () if outputs may share it."""
    if wire.region is not None:
        size = int(wire.type_[1:]) // 8
        return ("region", wire.region), range(wire.offset, wire.offset + size)
    if wire.gpio is not None:
        return ("gpio", wire.gpio), range(wire.pin, wire.pin + 1)
    if wire.can is not None:
        return ("can", wire.can, wire.message, wire.signal), range(1)
    return (), range(0)


def _is_set(wire: WireTable, key: str) -> bool:
    default: Mapping[str, Any] = vars(WireTable())
    name = key if key in default else f"{key}_"
    return bool(getattr(wire, name) != default[name])


def _of_can(wire: WireTable, document: BenchDocument) -> Iterator[_Problem]:
    assert wire.can is not None
    bus = document.can.get(wire.can)
    if bus is None:
        help = suggest(wire.can, document.can, "buses of this bench")
        yield (*wire.path, "can"), f'there is no bus "{wire.can}"', help
    elif bus.dbc is None:
        yield bus.path, f"{dotted(bus.path)} has no dbc, whose signals are wired", "dbc = FILE"
    for key in ("message", "signal"):
        if getattr(wire, key) is None:
            yield wire.path, f"{dotted(wire.path)} has no {key}", f"a {key} of the bus' DBC"
