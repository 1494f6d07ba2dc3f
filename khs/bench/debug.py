"""What a debugger costs: a run with it attached, its snapshots, hypercall breakpoints that do not
match, and how long it takes to go back.

Every pair is measured in turn, each time by runs of their own from tick 0: what was recorded once
is not recorded again. Runs are measured in CPU time of their thread, so that a few per cent can be
told on a busy machine.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from khs import runs
from khs.bench.figures import Figure
from khs.bench.load import BOARDS, Load
from khs.bench.stepping import stepping
from khs.debug.snapshots import BUDGET_BYTES
from khs.debug.stops import Calls, Position
from khs.debug.target import Target
from khs.engine.unicorn import Machine
from khs.image import Archive

TRIES = 7
WINDOW = 100_000  # ticks
WARM = 20  # major frames until code is translated
TICKS = 100_000_000
NEAR = 10_000_000  # ticks from the end within which steps back are measured
STEPS = 40
SMALL_BUDGET = 2 << 20
#: A hypercall that the loads do not make.
OTHER = 10


def debug() -> Iterator[Figure]:
    """All of it, on each architecture."""
    for arch in BOARDS:
        compute, calls = (
            Load(arch, "compute", WINDOW).archive(),
            Load(arch, "null", WINDOW).archive(),
        )
        yield _attached(arch, compute)
        yield _recording(arch, compute)
        yield _filtered(arch, calls)
        yield from _back(arch, compute)
    yield from stepping()


def _frames() -> int:
    return TICKS // WINDOW


def _plain(archive: Archive) -> float:
    """CPU seconds of the run without a debugger."""
    with Machine(archive, seed=1) as machine:
        machine.run(WARM)
        began = time.thread_time()
        machine.run(_frames())
        return time.thread_time() - began


def _debugged(
    archive: Archive,
    budget: int = BUDGET_BYTES,
    prepare: Callable[[Target], object] = lambda target: None,
) -> float:
    """The same with a debugger that has nothing to stop at."""
    plan = runs.plan(archive, frames=WARM + _frames(), seed=1)
    with Target(plan, budget=budget) as target:
        prepare(target)
        for _ in range(WARM):
            target.step_frame()
        began = time.thread_time()
        target.go()
        return time.thread_time() - began


def _best(*measured: Callable[[], float]) -> list[float]:
    """Of a few tries each, in turn."""
    tries = [[each() for each in measured] for _ in range(TRIES)]
    return [min(row[place] for row in tries) for place in range(len(measured))]


def _attached(arch: str, archive: Archive) -> Figure:
    plain, ours = _best(lambda: _plain(archive), lambda: _debugged(archive))
    speeds = [TICKS / seconds / 1e6 for seconds in (ours, plain)]
    name = "a run with a debugger and no breakpoints"
    row: dict[str, Any] = {"section": "debug", "arch": arch, "unit": "MIPS", "name": name}
    return Figure.at_least(
        0.95, **row, value=speeds[0], baseline=speeds[1], ratio=speeds[0] / speeds[1]
    )


def _recording(arch: str, archive: Archive) -> Figure:
    without, ours = _best(lambda: _debugged(archive, budget=0), lambda: _debugged(archive))
    return _longer(1.08, "a tick, recorded with snapshots", arch, ours, without)


def _filtered(arch: str, archive: Archive) -> Figure:
    def prepare(target: Target) -> None:
        target.set_calls((Calls(None, frozenset({OTHER})),))

    without, ours = _best(
        lambda: _debugged(archive, budget=0), lambda: _debugged(archive, 0, prepare)
    )
    return _longer(1.02, "a tick of hypercalls, none matching", arch, ours, without)


def _longer(most: float, name: str, arch: str, ours: float, without: float) -> Figure:
    row: dict[str, Any] = {"section": "debug", "name": name, "arch": arch, "unit": "ns"}
    each = [seconds * 1e9 / TICKS for seconds in (ours, without)]
    return Figure.at_most(most, **row, value=each[0], baseline=each[1], ratio=ours / without)


def _back(arch: str, archive: Archive) -> Iterator[Figure]:
    """Steps back from anywhere near the end, and what is kept for it in a small budget."""
    plan = runs.plan(archive, frames=_frames(), seed=1)
    rng = random.Random(1)
    row: dict[str, Any] = {"section": "debug", "arch": arch}
    with Target(plan, budget=SMALL_BUDGET) as target:
        end = target.go().position.tick
        kept = target.snapshots[1] / (1 << 20)
        taken = []
        for _ in range(STEPS):
            target.go_to(Position(end - rng.randrange(NEAR)))
            began = time.perf_counter()
            target.back_step()
            taken.append(time.perf_counter() - began)
    name = f"snapshots of {TICKS // 1_000_000} million ticks"
    yield Figure.at_most(SMALL_BUDGET >> 20, **row, name=name, value=kept, unit="MiB")
    median = statistics.median(taken) * 1e3
    yield Figure.at_most(20, **row, name="step back, median", value=median, unit="ms")
