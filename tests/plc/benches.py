"""images/plc with its plant, watched: what the tests of this folder have in common."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from khs.engine.lines import Exchange, Party
from khs.engine.unicorn import Machine
from khs.hil import bench
from khs.hil.plant import PythonModel
from khs.hil.plants import PlantLoop
from khs.image.archive import Archive
from khs.resources import shipped
from khs.trace import events
from khs.trace.kinds import EventType
from tests.guests.systems import Run, built

FOLDER = shipped("images") / "plc"
CAMPAIGN, ATTACK, FORGOTTEN, PERMISSIVE = (
    FOLDER / f"{name}.toml" for name in ("campaign", "attack", "forgotten", "permissive")
)
STOP, AGAIN = (Path(__file__).parent / f"{name}.toml" for name in ("stop", "again"))
BOARDS = ("sabrelite", "q35", "pc")
PARTITIONS = ("controller", "safety", "engineering", "network")
#: mm/s at which the safety channel trips, and at which the rotor breaks.
TRIP, CLEARANCE = 16.0, 40.0
#: Hz between which nothing rests.
CRITICAL = (300.0, 750.0)
#: Number of khs_call.
CALL = 13


def module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


Drive: Any = module("plc_drive", FOLDER / "plant/drive.py").Drive


class Moment(NamedTuple):
    """The plant after a step; `ms` of virtual time."""

    ms: float
    speed: float
    vibration: float
    closed: bool
    broken: bool


class Watched(Drive):  # type: ignore[misc]
    """A drive that remembers its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Moment] = []
        self.now = 0.0

    def step(self, dt: float) -> None:
        super().step(dt)
        self.now += dt * 1000
        state = self.speed, self.vibration, bool(self.closed), bool(self.broken)
        self.history.append(Moment(self.now, *state))


class Played(NamedTuple):
    run: Run
    history: Sequence[Moment]

    @property
    def broken(self) -> bool:
        return self.history[-1].broken

    @property
    def most_vibration(self) -> float:
        return max(moment.vibration for moment in self.history)


@contextmanager
def opened(archive: Archive) -> Iterator[tuple[Machine, Watched]]:
    """A machine with the plant of bench.toml around it."""
    document, plant = bench.read(FOLDER / "bench.toml"), Watched()

    def outside(exchange: Exchange) -> list[Party]:
        model = PythonModel("drive", plant)
        return [PlantLoop(document, "drive", model, exchange, archive.manifest)]

    with Machine(archive, seed=1, outside=outside) as machine:
        yield machine, plant


#: Where a record of an event has its partition and its type (khs/trace/events.py).
_PARTITION, _TYPE = slice(12, 14), 24
_TOLD = {int(EventType.CONSOLE), int(EventType.FAULT), int(EventType.HEALTH)}


def watched(machine: Machine, frames: int) -> Run:
    """A run with all events of the engineering partition, and what of the others is rare."""
    engineering = PARTITIONS.index("engineering").to_bytes(2, "little")
    seen: list[events.Event] = []

    def take(records: memoryview) -> None:
        for record in events.split(records):
            if record[_TYPE] in _TOLD or record[_PARTITION] == engineering:
                seen.append(events.decode(record))

    result = machine.run(frames, sink=take)
    return Run(result, seen, PARTITIONS)


def play(
    *overlays: Path, board: str = "sabrelite", frames: int, archive: Archive | None = None
) -> Played:
    with opened(archive or built("plc", board, overlays)) as (machine, plant):
        return Played(watched(machine, frames), plant.history)
