"""The systems that are measured: images/bench on a board, with windows and work as wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from khs import resources
from khs.engine.native import Host
from khs.engine.structures import Timing
from khs.engine.unicorn import Machine, Sink
from khs.errors import EngineError
from khs.image import Archive, open_system

BOARDS = {"armv7": "sabrelite", "x64": "q35", "x86": "pc"}
BENCH = 0  # number of the busy partition
TICK_NS = 8  # of the shipped boards

_WINDOWS = """
[schedule.normal]
major_frame = "{frame}us"
windows = [
  {{ partition = "bench", start = "0us", length = "{length}us" }},
  {{ partition = "sink", start = "{length}us", length = "16us" }},
]
[channel.sample]
refresh = "{refresh}us"
"""


@dataclass(frozen=True, slots=True)
class Load:
    """`mode` as in images/bench/README.md; the busy partition's windows have `window` ticks."""

    arch: str
    mode: str
    window: int

    def archive(self) -> Archive:
        """Built for the board of its architecture."""
        folder = resources.shipped("images") / "bench"
        length = self.window * TICK_NS // 1000
        text = _WINDOWS.format(frame=length + 16, length=length, refresh=2 * (length + 16))
        with tempfile.TemporaryDirectory() as work:
            windows = Path(work) / "windows.toml"
            windows.write_text(text, encoding="utf-8")
            overlays = [windows]
            if self.mode != "compute":
                overlays.insert(0, folder / f"{self.mode}.toml")
            return open_system(folder, overlays, BOARDS[self.arch])


@dataclass(frozen=True, slots=True)
class Run:
    """What the busy partition did in `ns` of host time."""

    ns: float
    ticks: int
    hypercalls: int
    windows: int

    @property
    def ns_per_tick(self) -> float:
        return self.ns / max(self.ticks, 1)

    @property
    def ns_per_call(self) -> float:
        return self.ns / max(self.hypercalls, 1)


@contextmanager
def booted(load: Load) -> Iterator[Machine]:
    """A machine that has run long enough for its code to be translated."""
    with Machine(load.archive(), seed=1) as machine:
        machine.run(frames=max(2, 2_000_000 // load.window))
        yield machine


@contextmanager
def beside_bare(load: Load) -> Iterator[tuple[Machine, Host]]:
    """The same, and a host of its own for Unicorn alone: that uses the partition's memory."""
    archive = load.archive()
    with booted(load) as machine, Host(archive.config, archive.memory, archive.policies) as host:
        yield machine, host


def under_kernel(machine: Machine, ticks: int, window: int, sink: Sink | None = None) -> Run:
    """Goes on for about `ticks` ticks of the busy partition."""
    before = machine.host.view(BENCH)
    frames = max(1, ticks // window)
    result = machine.run(frames, sink=sink)
    after = machine.host.view(BENCH)
    if after.faults or after.ticks == before.ticks:
        raise EngineError(f"the load of {result.system} on {result.board} does not run")
    hypercalls = after.hypercalls - before.hypercalls
    return Run(result.wall_s * 1e9, after.ticks - before.ticks, hypercalls, 2 * frames)


def bare(host: Host, traps: int, same_tlb: bool = False) -> Timing:
    """Unicorn alone on the same program, up to `traps` hypercalls; the second time counts."""
    host.bench_raw(BENCH, max(1, traps // 10), same_tlb)
    return host.bench_raw(BENCH, traps, same_tlb)
