"""What is measured, section by section.

Host times are noisy: every figure is the best of a few tries, and a baseline is measured in turn
with what it is compared to.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from khs.bench import boards, crowd, debug, hil, rival
from khs.bench.figures import Figure
from khs.bench.load import BENCH, BOARDS, Load, Run, bare, beside_bare, booted, under_kernel
from khs.engine.native import Host
from khs.errors import KhsError
from khs.trace import Writer

Progress = Callable[[str], None]

TRIES = 3
LONG_RUN = 200_000_000  # ticks of a run that measures speed
SHORT_RUN = 20_000_000  # of one that measures single events
LONG, SHORT = 100_000, 1_000  # ticks of a window
COMPUTE_TRAPS = 14  # hypercalls of the compute load in about LONG_RUN ticks


def speed() -> Iterator[Figure]:
    """Guest speed under exact windows, beside Unicorn alone on the same program: as it comes, which
    is what others use and what is asked for, and with the TLB that partitions run with. That makes
    Unicorn faster; beside it one sees what exact windows themselves cost."""
    for arch in BOARDS:
        for window, least in ((LONG, 0.82), (SHORT, 0.50)):
            ours, as_it_comes, same_tlb = _speeds(arch, window)
            name = f"windows of {window} ticks"
            row: dict[str, Any] = {"section": "speed", "arch": arch, "value": ours, "unit": "MIPS"}
            ratio = ours / as_it_comes
            yield Figure.at_least(least, **row, name=name, baseline=as_it_comes, ratio=ratio)
            name += ", baseline with our TLB"
            yield Figure(**row, name=name, baseline=same_tlb, ratio=ours / same_tlb)


def _speeds(arch: str, window: int) -> tuple[float, float, float]:
    """MIPS: in windows under the kernel, Unicorn alone as it comes, and with our TLB."""
    with beside_bare(Load(arch, "compute", window)) as (machine, host):
        # Unicorn alone does not count; the same code in windows does.
        ticks = host.bench_windows(BENCH, COMPUTE_TRAPS, LONG).ticks
        tries = [
            (
                under_kernel(machine, LONG_RUN, window).ns_per_tick,
                bare(host, COMPUTE_TRAPS).ns / ticks,
                bare(host, COMPUTE_TRAPS, same_tlb=True).ns / ticks,
            )
            for _ in range(TRIES)
        ]
    ours, as_it_comes, same_tlb = (1e3 / min(each) for each in zip(*tries, strict=True))
    return ours, as_it_comes, same_tlb


def hypercall() -> Iterator[Figure]:
    """A hypercall that does nothing, and a judged one, beside a bare trap."""
    loads = (("null", "null hypercall", 1.3), ("port", "judged 64-byte port write", 2.5))
    for arch in BOARDS:
        with beside_bare(Load(arch, "null", LONG)) as (_, host):
            trap = min(_trap(host) for _ in range(TRIES))
        for mode, name, most in loads:
            with beside_bare(Load(arch, mode, LONG)) as (machine, host):
                ours, alone = [], []
                for _ in range(TRIES):
                    run = under_kernel(machine, SHORT_RUN, LONG)
                    ours.append(run.ns_per_call)
                    alone.append(_trap(host, run.hypercalls))
            # what the guest does around its trap is in both
            around = max(0.0, min(alone) - trap)
            yield _compared(most, "hypercall", name, arch, min(ours) - around, "ns", trap)


def _trap(host: Host, traps: int = 100_000) -> float:
    timing = bare(host, traps)
    return float(timing.ns / timing.traps)


def switch() -> Iterator[Figure]:
    """Host time that one more window costs: the same work in short and in long windows."""
    for arch in BOARDS:
        with (
            booted(Load(arch, "compute", LONG)) as long,
            booted(Load(arch, "compute", SHORT)) as short,
        ):
            pairs = [
                (under_kernel(long, SHORT_RUN, LONG), under_kernel(short, SHORT_RUN, SHORT))
                for _ in range(TRIES)
            ]
        few, many = _fastest([pair[0] for pair in pairs]), _fastest([pair[1] for pair in pairs])
        more = many.windows / many.ticks - few.windows / few.ticks
        value = (many.ns_per_tick - few.ns_per_tick) / more
        yield Figure.at_most(
            2000, section="switch", name="one window more", arch=arch, value=value, unit="ns"
        )


def tracing() -> Iterator[Figure]:
    """Writing a trace file of a guest that makes one judged hypercall in 1,000 ticks."""
    for arch in BOARDS:
        plain, traced = [], []
        with (
            booted(Load(arch, "rate", LONG)) as machine,
            tempfile.TemporaryDirectory() as work,
            Writer(Path(work) / "bench.trace", {}) as writer,
        ):
            for _ in range(TRIES):
                plain.append(under_kernel(machine, LONG_RUN, LONG).ns_per_tick)
                traced.append(under_kernel(machine, LONG_RUN, LONG, sink=writer).ns_per_tick)
        yield _compared(1.15, "tracing", "a tick, traced", arch, min(traced), "ns", min(plain))


def _fastest(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda run: run.ns_per_tick)


def _compared(
    most: float, section: str, name: str, arch: str, value: float, unit: str, baseline: float
) -> Figure:
    return Figure.at_most(
        most,
        section=section,
        name=name,
        arch=arch,
        value=value,
        unit=unit,
        baseline=baseline,
        ratio=value / baseline,
    )


SECTIONS: dict[str, Callable[[], Iterator[Figure]]] = {
    "speed": speed,
    "hypercall": hypercall,
    "switch": switch,
    "tracing": tracing,
    "crowd": lambda: itertools.chain.from_iterable(map(crowd.crowd, BOARDS)),
    "debug": debug.debug,
    "hil": hil.figures,
    "boards": boards.boards,
    "qiling": rival.qiling,
}

#: What a section needs that is not here, in words; "" if nothing.
MISSING = {"boards": boards.missing, "qiling": rival.missing}


def measure(section: str | None, progress: Progress) -> list[Figure]:
    """All sections, or one. KhsError if there is no such section."""
    if section is not None and section not in SECTIONS:
        raise KhsError(f"there is no section '{section}'\n  help: one of {', '.join(SECTIONS)}")
    figures: list[Figure] = []
    for name in [section] if section else SECTIONS:
        if lacks := MISSING.get(name, lambda: "")():
            if section:
                raise KhsError(f"section {name} {lacks}")
            progress(f"section {name} is left out: it {lacks}")
            continue
        progress(f"measuring {name}")
        figures += SECTIONS[name]()
    return figures
