"""What is attached to the devices of a system for a run: models in Python, and serial lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khs.config.document import Keys
from khs.config.rules import suggest
from khs.config.units import Duration, UnitError
from khs.engine.device import Device
from khs.engine.devices import CAN, device_names, lacking
from khs.engine.lines import Line
from khs.errors import ConfigError, Finding, KhsError
from khs.hil import can, can_log, models
from khs.hil import gpio as pins
from khs.hil.bench import Bench
from khs.hil.document import BenchDocument
from khs.hil.served import place

_LOOK_S = 0.005
#: Kinds of devices that are serial ports.
UARTS = ("imx-uart", "16550")
PACES = ("fast", "real")
#: Kinds of devices that an option is for, and what others are.
_ABLE = {
    "--serial": (frozenset(UARTS), "is no serial port"),
    "--can": (frozenset(CAN), "is no CAN controller"),
    "--gpio": (frozenset({pins.GPIO}), "has no pins"),
}
_OWNING = "devices = [...] of a partition gives it one of the board"
#: And the path of a unix socket.
OUTSIDE = "outside:"


@dataclass(frozen=True)
class Attached:
    """By PARTITION.DEVICE: `serial`, URLs (khs.hil.serial); `models`, FILE[:CLASS] in Python;
    `can`, names of buses, of which `joins` has those that are joined to python-can's, or to files
    (khs.hil.can);
    `gpio`, what pins are joined to (khs.hil.gpio).
    `can_log`: a file for what is on them; `pace`: "fast", "real" or "outside:SOCKET", None
    for what suits; `most_slip_ns`: a frame that is later fails the run; `bench`: plants; `serve`: a
    name under which others come to the other serial ports."""

    serial: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    can: Mapping[str, str] = field(default_factory=dict)
    joins: Mapping[str, str] = field(default_factory=dict)
    can_log: Path | None = None
    pace: str | None = None
    most_slip_ns: int | None = None
    bench: Bench | None = None
    serve: str | None = None
    gpio: Mapping[str, str] = field(default_factory=dict)
    #: Where the bench has what is of it, by option and PARTITION.DEVICE.
    places: Mapping[tuple[str, str], Keys] = field(default_factory=dict)

    @property
    def master(self) -> str | None:
        """The socket of whoever lets time pass."""
        is_outside = self.pace is not None and self.pace.startswith(OUTSIDE)
        return self.pace.removeprefix(OUTSIDE) if is_outside and self.pace else None

    @property
    def unforeseen(self) -> bool:
        """Whether inputs come that the archive does not have."""
        return self.live or self.plants or self.master is not None

    @property
    def plants(self) -> bool:
        """Whether there are plants."""
        return self.bench is not None and bool(self.bench.document.plant)

    @property
    def live(self) -> bool:
        """Whether bytes may come in that nobody knows of before."""
        lines = (*self.serial.values(), *self.gpio.values(), *self.joins.values())
        is_joined = any(not each.startswith("file:") for each in lines)
        return is_joined or self.serve is not None

    def ports(self, manifest: Mapping[str, Any]) -> list[str]:
        """Those that are served, PARTITION.DEVICE: UARTs and models in Python without a line."""
        names = manifest["names"]["partitions"]
        told = {
            f"{names[about['partition']]}.{about['name']}": about["kind"]
            for about in manifest.get("devices", ())
        }
        able = {name for name, kind in told.items() if kind in UARTS} | set(self.models)
        return [name for name in told if name in able and name not in self.serial]

    def error(self, option: str, name: str, what: str, help: str) -> KhsError:
        """About what an option joins to a device: at its place, if that is in the bench."""
        path = self.places.get((option, name))
        if self.bench is None or path is None:
            return KhsError(f"{option} {name}: {what}\n  help: {help}")
        return self.bench.error(path, f'"{name}": {what}', help, at_key=option != "--can")

    def load(self) -> dict[str, Device]:
        """Makes the models. KhsError."""
        made: dict[str, Device] = {}
        for name, file in self.models.items():
            try:
                made |= models.load({name: file})
            except models.AbsentError as error:
                if ("--device", name) not in self.places:
                    raise
                raise self.error("--device", name, *error.parts) from error
        return made


def attached(
    serial: Iterable[str] | None = None,
    devices: Iterable[str] | None = None,
    buses: Iterable[str] | None = None,
    *,
    can_log: Path | None = None,
    pace: str | None = None,
    max_slip: str | None = None,
    bench: Bench | None = None,
    serve: str | None = None,
    gpio: Iterable[str] = (),
) -> Attached:
    """From the options --serial, --device, --can, --can-log, --gpio, --pace and --max-slip, and
    what a bench says beside them. KhsError for what is none."""
    can_buses = models.pairs("--can", "PARTITION.DEVICE=BUS", buses or ())
    made = Attached(
        models.pairs("--serial", "PARTITION.DEVICE=URL", serial or ()),
        models.pairs("--device", "PARTITION.DEVICE=FILE[:CLASS]", devices or ()),
        can_buses,
        {bus: bus for bus in can_buses.values() if can.is_outside(bus)},
        can_log,
        _pace(pace),
        None if max_slip is None else _slip(max_slip),
        serve=serve,
        gpio=models.pairs("--gpio", "PARTITION.DEVICE=SPEC", gpio),
    )
    return made if bench is None else _with_bench(made, bench)


def _with_bench(given: Attached, bench: Bench) -> Attached:
    """Options come before what the bench says."""
    document = bench.document
    files = {name: bench.path(place) for name, place in document.device.items()}
    buses = {node: name for name, bus in document.can.items() for node in bus.nodes}
    buses_joined = {name: bus.join for name, bus in document.can.items() if bus.join is not None}
    joins = {name: can_log.beside(bench.path, join) for name, join in buses_joined.items()}
    slip = document.bench.max_slip
    return Attached(
        {**document.serial, **given.serial},
        {**files, **given.models},
        {**buses, **given.can},
        {**joins, **given.joins},
        given.can_log,
        given.pace or _pace(document.bench.pace, bench),
        given.most_slip_ns or (None if slip is None else slip.value),
        bench,
        given.serve,
        {**{name: pins.beside(bench, spec) for name, spec in document.gpio.items()}, **given.gpio},
        _places(document, given),
    )


def _places(document: BenchDocument, given: Attached) -> dict[tuple[str, str], Keys]:
    """Of all that no option replaces."""
    nodes = {
        node: ("can", bus, "nodes", number)
        for bus, table in document.can.items()
        for number, node in enumerate(table.nodes)
    }
    rows: tuple[tuple[str, str, Iterable[str], Mapping[str, str]], ...] = (
        ("--serial", "serial", document.serial, given.serial),
        ("--device", "device", document.device, given.models),
        ("--gpio", "gpio", document.gpio, given.gpio),
    )
    own: dict[tuple[str, str], Keys] = {
        (option, name): (key, name)
        for option, key, names, instead in rows
        for name in names
        if name not in instead
    }
    of_buses = {("--can", node): path for node, path in nodes.items() if node not in given.can}
    return own | of_buses


def _pace(pace: str | None, bench: Bench | None = None) -> str | None:
    known = pace in PACES or ((pace or "").startswith(OUTSIDE) and pace != OUTSIDE)
    if pace is not None and not known:
        what = f"{pace} names no socket" if pace == OUTSIDE else f"there is no pace {pace}"
        help = f"one of {', '.join(PACES)}, {OUTSIDE}SOCKET"
        if bench is not None:
            raise bench.error(("bench", "pace"), what, help)
        raise KhsError(f"--pace: {what}\n  help: {help}")
    return pace


def _slip(text: str) -> int:
    try:
        return Duration.parse(text).value
    except UnitError as error:
        raise KhsError(f"--max-slip {text}: {error}\n  help: {error.help}") from error


def check(manifest: Mapping[str, Any], attached: Attached, engine: str, isolate: bool) -> None:
    """KhsError for what is attached to nothing, or where the engine cannot have it."""
    check_devices(manifest, attached, isolate)
    _check_engine(manifest, attached, engine, isolate)


def check_devices(manifest: Mapping[str, Any], attached: Attached, isolate: bool = False) -> None:
    """KhsError for what is attached to nothing that it can be attached to."""
    options = {
        "--serial": attached.serial,
        "--device": attached.models,
        "--can": attached.can,
        "--gpio": attached.gpio,
    }
    wrong: list[Finding] = []
    for option, names in options.items():
        for name in names:
            try:
                _check_device(manifest, attached, option, name)
            except ConfigError as error:
                wrong += error.findings
        if isolate and names and (option != "--can" or attached.joins or attached.can_log):
            raise KhsError(f"{option} is not for --isolate: isolated guests have no way out")
    if wrong:
        raise ConfigError(wrong)


def _check_engine(
    manifest: Mapping[str, Any], attached: Attached, engine: str, isolate: bool
) -> None:
    if attached.serve is not None:
        _check_serve(manifest, attached, isolate)
    for what, asked in (("plants", attached.plants), ("--pace", attached.pace is not None)):
        if asked and (isolate or engine == "qemu"):
            where = "--isolate" if isolate else "QEMU"
            raise KhsError(f"{what}: not for {where}\n  help: the unicorn engine in this process")
    is_real = (attached.pace or ("real" if attached.live else "fast")) == "real"
    if attached.most_slip_ns is not None and not is_real:
        help = "--pace real, or leave --max-slip out"
        raise KhsError(f"--max-slip: only frames in real time can be late\n  help: {help}")
    if attached.can_log is not None and not attached.can:
        raise KhsError("--can-log writes what is on the buses of --can, and there is none")
    if engine == "qemu" and (attached.joins or attached.can_log):
        raise KhsError(
            "buses of python-can, files of frames and --can-log are for the unicorn engine\n"
            "  help: --can PARTITION.DEVICE=NAME is a bus among controllers of QEMU's board"
        )
    if engine == "qemu" and attached.gpio:
        raise KhsError("--gpio is for the unicorn engine: QEMU's pins lead nowhere")
    if engine == "qemu" and attached.models:
        raise KhsError("--device is for the unicorn engine: QEMU has models of its own")


def _check_serve(manifest: Mapping[str, Any], attached: Attached, isolate: bool) -> None:
    if isolate:
        raise KhsError("--serve is not for --isolate: isolated guests have no way out")
    place(attached.serve or "")
    if not attached.ports(manifest):
        raise KhsError(
            f"--serve {attached.serve}: no partition has a serial port without a line\n"
            "  help: devices = [...] of a partition gives it one of the board"
        )


def device_kinds(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Of each PARTITION.DEVICE."""
    kinds = (str(about["kind"]) for about in manifest.get("devices", ()))
    return dict(zip(device_names(manifest), kinds, strict=True))


def _check_device(manifest: Mapping[str, Any], attached: Attached, option: str, name: str) -> None:
    """It is one of a partition, and such that the option can join it to something."""
    owners = {key: about["devices"] for key, about in manifest["partitions"].items()}
    known = [f"{key}.{each}" for key, own in owners.items() for each in own]
    if name not in known:
        help = suggest(name, known, "devices of partitions") if known else _OWNING
        raise attached.error(option, name, "there is no such device of a partition", help)
    kinds, what = _ABLE.get(option, (frozenset(), ""))
    told = device_kinds(manifest)
    if option == "--serial" and name in attached.models:
        return
    if kinds and name in told and told[name] not in kinds:
        able = [each for each, kind in told.items() if kind in kinds]
        help = suggest(name, able, "those of partitions") if able else _OWNING
        raise attached.error(option, name, f"that device {what}", help)


def check_modelled(manifest: Mapping[str, Any], attached: Attached) -> None:
    """KhsError if partitions have devices that the unicorn engine has no model of: they would fault
    at once."""
    told = lacking(manifest, attached.models)
    if told:
        raise KhsError(
            f"the unicorn engine has no model of {', '.join(told)}: "
            "partitions would not find what they own\n"
            "  help: a model in Python, --device PARTITION.DEVICE=FILE; or --engine qemu;\n"
            "  or without them, by an overlay: --with FILE, devices = []"
        )


def coroutines(
    lines: Mapping[str, Line],
) -> dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]]:
    """The same lines for a board in QEMU, by the board's device."""
    return {name.partition(".")[2]: _bridge(line) for name, line in lines.items()}


def _bridge(
    line: Line,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    async def feed(into: asyncio.StreamWriter) -> None:
        while True:
            if data := line.take():
                into.write(data)
                await into.drain()
            await asyncio.sleep(_LOOK_S)

    async def bridge(out: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
        feeding = asyncio.create_task(feed(into))
        try:
            while data := await out.read(4096):
                line.put(data)
        finally:
            feeding.cancel()

    return bridge
