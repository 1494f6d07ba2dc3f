"""Many partitions in one system: time to build and boot, memory, cost of a window."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from khs import resources
from khs.bench.figures import Figure
from khs.bench.load import BOARDS
from khs.engine.unicorn import Machine
from khs.image import Archive, open_system

FRAMES = 20
WINDOW_US = 40

_SYSTEM = """
format = 1
[system]
name = "crowd"
board = "{board}"
policy = "{policy}"
include = ["{include}"]
[run]
frames = {frames}
seed = 1
[schedule.normal]
major_frame = "{major}us"
windows = [
{windows}
]
[health]
default = {{ level = "partition", action = "idle" }}
"""
_PARTITION = """
[partition.p{number}]
class = "bench.Bench"
program = "bench"
stack = "16KiB"
env = {{ MODE = "rate" }}
"""
_WINDOW = '  {{ partition = "p{number}", start = "{start}us", length = "{length}us" }},'


SIZES = (16, 64, 256)


@dataclass(frozen=True, slots=True)
class Crowd:
    """One system of `partitions` busy partitions."""

    partitions: int
    build_s: float
    boot_s: float  # and two frames, so that every partition has run
    memory_bytes: int
    window_ns: float


def crowd(arch: str = "armv7") -> Iterator[Figure]:
    """Memory and time of each of many partitions, and whether they grow with their number alone."""
    crowds = [_measured(size, arch) for size in SIZES]
    many = crowds[-1]

    def figure(name: str, value: float, unit: str) -> dict[str, Any]:
        name = f"{many.partitions} partitions, {name}"
        return {"section": "crowd", "name": name, "arch": arch, "value": value, "unit": unit}

    yield Figure(**figure("build", many.build_s, "s"))
    yield Figure(**figure(f"{WINDOW_US} us window", many.window_ns, "ns"))
    memory = [crowd.memory_bytes / 1024 for crowd in crowds]
    boot = [crowd.boot_s * 1e3 for crowd in crowds]
    for name, unit, most, totals in (("memory", "KiB", 8192, memory), ("boot", "ms", 4, boot)):
        each = totals[-1] / many.partitions
        yield Figure.at_most(most, **figure(f"{name} of each", each, unit))
        first, last = _slopes(totals)
        growth = figure(f"{name} of one more", last, unit)
        yield Figure.at_most(1.5, **growth, baseline=first, ratio=last / first)


def _slopes(totals: list[float]) -> tuple[float, float]:
    """What one partition more costs among few and among many."""
    few, some, many = SIZES
    return (totals[1] - totals[0]) / (some - few), (totals[2] - totals[1]) / (many - some)


def _measured(partitions: int, arch: str) -> Crowd:
    """In a process of its own: memory that another run gave back would hide what this takes."""
    text = subprocess.run(
        [sys.executable, "-m", "khs.bench.crowd", str(partitions), BOARDS[arch]],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return Crowd(**json.loads(text))


def _measure(partitions: int, board: str) -> Crowd:
    began = time.perf_counter()
    archive = _archive(partitions, board)
    built = time.perf_counter()
    resident = _resident()
    with Machine(archive, seed=1) as machine:
        machine.run(frames=2)
        booted = time.perf_counter()
        result = machine.run(frames=FRAMES)
        return Crowd(
            partitions=partitions,
            build_s=built - began,
            boot_s=booted - built,
            memory_bytes=_resident() - resident,
            window_ns=result.wall_s * 1e9 / (FRAMES * partitions),
        )


def _archive(partitions: int, board: str) -> Archive:
    folder = resources.shipped("images") / "bench"
    windows = [
        _WINDOW.format(number=number, start=number * WINDOW_US, length=WINDOW_US)
        for number in range(partitions)
    ]
    text = _SYSTEM.format(
        board=board,
        policy=folder / "security.psl",
        include=folder / "interfaces",
        frames=FRAMES,
        major=partitions * WINDOW_US,
        windows="\n".join(windows),
    )
    text += "".join(_PARTITION.format(number=number) for number in range(partitions))
    with tempfile.TemporaryDirectory() as work:
        document = Path(work) / "system.toml"
        document.write_text(text, encoding="utf-8")
        return open_system(document)


def _resident() -> int:
    """Bytes of memory that this process has in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(int(sys.argv[1]), sys.argv[2]))))
