"""Many partitions in one system: time to build and boot, memory, cost of a window."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from khs import resources
from khs.bench.figures import Figure
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


def crowd(partitions: int, arch: str = "armv7", board: str = "sabrelite") -> Iterator[Figure]:
    """Figures of one system with so many partitions, all busy."""
    name = f"{partitions} partitions"
    began = time.perf_counter()
    archive = _archive(partitions, board)
    yield Figure("crowd", f"{name}, build", arch, time.perf_counter() - began, "s")
    resident = _resident()
    began = time.perf_counter()
    with Machine(archive, seed=1) as machine:
        machine.run(frames=2)
        booted = time.perf_counter() - began
        result = machine.run(frames=FRAMES)
        memory = (_resident() - resident) / partitions
    yield Figure("crowd", f"{name}, boot and two frames", arch, booted, "s")
    yield Figure("crowd", f"{name}, memory of each", arch, memory / 1024, "KiB")
    each = result.wall_s * 1e9 / (FRAMES * partitions)
    yield Figure("crowd", f"{name}, {WINDOW_US} us window", arch, each, "ns")


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
