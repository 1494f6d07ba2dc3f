"""What CAN buses cost: frames from one partition over a bus to another, and back."""

from __future__ import annotations

import time
from typing import Any

from khs.bench.figures import Figure
from khs.engine import unicorn
from khs.hil.frames import RECORD
from khs.image import open_system
from khs.resources import shipped

NODES = {"asker.can1": "bus", "answerer.can2": "bus"}
TRIES, FRAMES = 3, 500


def on_bus(board: str, arch: str) -> Figure:
    """Frames for each second of host time; none may be lost."""
    folder = shipped("images") / "can"
    image = open_system(str(folder), [folder / "burst.toml"], board)
    best, lost = 0.0, 0
    for _ in range(TRIES):
        with unicorn.Machine(image, can=NODES) as machine:
            machine.run(2)  # with the engines' start
            before = _sent(machine)
            began = time.perf_counter()
            machine.run(FRAMES)
            seconds = time.perf_counter() - began
            best = max(best, (_sent(machine) - before) / seconds)
            lost += sum(row["overruns"] for row in machine.devices.counts().values())
    row: dict[str, Any] = {"section": "hil", "arch": arch, "unit": "frames/s"}
    name, asked = "CAN, partition to partition, none lost", ">= 20000 frames/s"
    return Figure(**row, name=name, value=best, asked=asked, ok=best >= 20_000 and not lost)


def _sent(machine: unicorn.Machine) -> float:
    return sum(row["sent"] for row in machine.devices.counts().values()) / RECORD.size
