"""Which system is tested, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from khs.attached import Attached, attached
from khs.config.model import Arch
from khs.engine.devices import CAN, device_names
from khs.errors import KhsError
from khs.hil.bench import read
from khs.hil.can_log import is_file
from khs.image import open_system
from khs.image.open import find_system, is_description
from khs.record import Source
from khs.replay import under
from khs.runs import Plan, check_devices, plan
from khs.swaps import read_policy

if TYPE_CHECKING:
    from khs.hil.testing.events import EventRig

#: Of CAN controllers that no bench tells of.
BUS = "can"
ENGINES = ("unicorn", "qemu")


@dataclass(frozen=True)
class Spec:
    """`system` as on the command line; `bench`: a bench.toml, whose system it is; `overlays`:
    documents over it; `policy`: a file in the place of the system's own; `boot_ns`: virtual time
    that partitions have to become NORMAL before tests begin; `vtimeout_ns`: virtual time that a
    test has."""

    system: str
    engine: str = "unicorn"
    board: str | None = None
    seed: int | None = None
    policy: str | None = None
    bench: str | None = None
    overlays: tuple[Path, ...] = ()
    boot_ns: int = 1_000_000_000
    vtimeout_ns: int = 10_000_000_000

    @property
    def arguments(self) -> str:
        """Of `khs run`."""
        board = "" if self.board is None else f" --board {self.board}"
        seed = "" if self.seed is None else f" --seed {self.seed}"
        layers = "".join(f" --with {path}" for path in self.overlays)
        bench = "" if self.bench is None else f" --bench {self.bench}"
        return f"{self.system} --engine {self.engine}{board}{seed}{bench}{layers}"

    @staticmethod
    def _layer(path: Path, folder: Path) -> Path:
        """As named, else beside the system's own document."""
        return path if path.exists() or not (folder / path).exists() else folder / path

    def _attached(self, manifest: Mapping[str, Any]) -> Attached:
        """Controllers that no bench puts on a bus are on one, with the test; of others,
        files alone are joined."""
        if self.engine != "unicorn":
            return Attached() if self.bench is None else attached(bench=read(Path(self.bench)))
        given = attached(bench=None if self.bench is None else read(Path(self.bench)), pace="fast")
        kinds = [str(row["kind"]) for row in manifest.get("devices", ())]
        names = [
            name for name, kind in zip(device_names(manifest), kinds, strict=True) if kind in CAN
        ]
        buses = {name: given.can.get(name, BUS) for name in names}
        joins = {bus: join for bus, join in given.joins.items() if is_file(join)}
        return replace(given, can=buses, joins=joins)

    def plan(self) -> Plan:
        """To run. KhsError if it cannot be had."""
        if self.engine not in ENGINES:
            raise KhsError(f"there is no engine {self.engine}\n  help: {', '.join(ENGINES)}")
        source = find_system(self.system)
        layers = [self._layer(path, source.parent) for path in self.overlays]
        archive = open_system(self.system, layers, self.board)
        if self.policy is not None:
            option = f'khs_policy("{self.policy}")'
            policy = read_policy(option, 0, self.policy, archive, self.system, self.board, layers)
            archive = under(archive, policy)
        around = self._attached(archive.manifest)
        planned = plan(
            archive,
            attached=around,
            seed=self.seed,
            engine=self.engine,
            source=Source(source, self.board, tuple(layers)) if is_description(source) else None,
        )
        check_devices(planned)
        if planned.machines:
            raise KhsError(
                'partitions of kind "board" live in a time of their own: no tests of them'
            )
        return planned


def opened(spec: Spec) -> EventRig:
    """The system, booted; to be closed. KhsError if it cannot be had."""
    planned = spec.plan()
    if spec.engine == "unicorn":
        from khs.hil.testing.here import Here

        return Here(spec, planned)
    from khs.hil.testing.board import OnBoard
    from khs.toolchain.firmware import build_firmware

    build_firmware(Arch[str(planned.archive.manifest["arch"]).upper()])  # may take a while
    return OnBoard(spec, planned)
