"""Whether a bench fits its system: what `khs run --bench` tells of it, before anything runs.

No code of plants and models runs, and nothing outside is opened: of a plant in Python and of a
model its text is read, of an FMU its description. All else is checked by the code that a run uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from khs.attached import Attached, attached, check_devices, check_modelled, device_kinds
from khs.config.document import Keys
from khs.engine.device import Device
from khs.engine.devices import CAN
from khs.engine.lines import Exchange, Party
from khs.engine.unicorn import Machine
from khs.errors import ConfigError, Finding, KhsError
from khs.hil import plants, sources
from khs.hil.bench import Bench
from khs.hil.plant import Variables
from khs.hil.wiring import Wiring
from khs.image.archive import Archive


class _Findings(list[Finding]):
    """An error that has no place in a file is told at `path` of the bench."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    @contextmanager
    def at(self, path: Keys) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            self.extend(error.findings)
        except KhsError as error:
            what, _, help = str(error).partition("\n  help: ")
            self.append(self._bench.finding(path, what, help))


def check(bench: Bench, archive: Archive) -> list[Finding]:
    """All that is wrong with it around this system."""
    findings, manifest = _Findings(bench), archive.manifest
    joined = Attached()
    with findings.at(("bench", "pace")):
        joined = attached(bench=bench)
    for check_one in (check_devices, check_modelled):
        with findings.at(("bench",)):
            check_one(manifest, joined)
    for name, place in joined.models.items():
        with findings.at(("device", name)):
            sources.read(place, Device, f'"{name}" = "FILE:CLASS"')
    variables: dict[str, Variables | None] = {}
    for name, table in bench.document.plant.items():
        variables[name] = None
        with findings.at(table.path):
            variables[name] = plants.described(bench, table)
    kinds = device_kinds(manifest)

    def wire(exchange: Exchange) -> list[Party]:
        for name, known in variables.items():
            with findings.at(("plant", name)):
                Wiring(bench, name, known, exchange, manifest)
        return []

    models = {name: Device() for name in joined.models if name in kinds}
    can = {name: bus for name, bus in joined.can.items() if kinds.get(name) in CAN}
    with findings.at(("bench",)), Machine(archive, models=models, outside=wire, can=can):
        pass
    return list(findings)
