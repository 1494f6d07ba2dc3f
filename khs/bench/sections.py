"""What is measured, section by section.

Host times are noisy: every figure is the best of a few tries, and a baseline is measured in turn
with what it is compared to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from khs.bench import crowd, rival
from khs.bench.figures import Figure
from khs.bench.load import BENCH, BOARDS, Load, Run, bare, beside_bare, booted, under_kernel
from khs.errors import KhsError
from khs.trace import Writer

Progress = Callable[[str], None]

TRIES = 5
TICKS = 10_000_000
LONG, SHORT = 100_000, 1_000
COMPUTE_TRAPS = 3  # hypercalls of the compute load that take about as long as TICKS


def speed() -> Iterator[Figure]:
    """Guest speed under exact windows, beside Unicorn alone on the same program."""
    for arch in BOARDS:
        for window, most in ((LONG, 1.3), (SHORT, 2.0)):
            with beside_bare(Load(arch, "compute", window)) as (machine, host):
                # Unicorn alone does not count; the same code in windows does.
                ticks = host.bench_windows(BENCH, COMPUTE_TRAPS, window).ticks
                ours, alone = [], []
                for _ in range(TRIES):
                    ours.append(under_kernel(machine, TICKS, window).ns_per_tick)
                    alone.append(bare(host, COMPUTE_TRAPS).ns / ticks)
            value, baseline = 1e3 / min(ours), 1e3 / min(alone)
            slower = baseline / value
            name = f"windows of {window} ticks"
            asked = f"at most {most} x slower"
            yield Figure(
                "speed",
                name,
                arch,
                value,
                "MIPS",
                baseline,
                value / baseline,
                asked,
                slower <= most,
            )


def hypercall() -> Iterator[Figure]:
    """A hypercall that does nothing, and a judged one, beside a bare trap."""
    for arch in BOARDS:
        for mode, name in (("null", "null hypercall"), ("port", "judged 64-byte port write")):
            ours, alone = [], []
            with beside_bare(Load(arch, mode, LONG)) as (machine, host):
                for _ in range(TRIES):
                    run = under_kernel(machine, TICKS // 4, LONG)
                    ours.append(run.ns_per_call)
                    timing = bare(host, run.hypercalls)
                    alone.append(timing.ns / timing.traps)
            yield _compared("hypercall", name, arch, min(ours), "ns", min(alone))


def switch() -> Iterator[Figure]:
    """Host time that one more window costs: the same work in short and in long windows."""
    for arch in BOARDS:
        with (
            booted(Load(arch, "compute", LONG)) as long,
            booted(Load(arch, "compute", SHORT)) as short,
        ):
            pairs = [
                (under_kernel(long, TICKS, LONG), under_kernel(short, TICKS, SHORT))
                for _ in range(TRIES)
            ]
        few, many = _fastest([pair[0] for pair in pairs]), _fastest([pair[1] for pair in pairs])
        more = many.windows / many.ticks - few.windows / few.ticks
        value = (many.ns_per_tick - few.ns_per_tick) / more
        yield Figure("switch", "one window more", arch, value, "ns")


def tracing() -> Iterator[Figure]:
    """Writing a trace file, where every fourth microsecond brings an event or two."""
    for arch in BOARDS:
        plain, traced = [], []
        with (
            booted(Load(arch, "port", LONG)) as machine,
            tempfile.TemporaryDirectory() as work,
            Writer(Path(work) / "bench.trace", {}) as writer,
        ):
            for _ in range(TRIES):
                plain.append(under_kernel(machine, TICKS // 4, LONG).ns_per_call)
                traced.append(under_kernel(machine, TICKS // 4, LONG, sink=writer).ns_per_call)
        yield _compared("tracing", "judged write, traced", arch, min(traced), "ns", min(plain))


def _fastest(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda run: run.ns_per_tick)


def _compared(
    section: str, name: str, arch: str, value: float, unit: str, baseline: float
) -> Figure:
    return Figure(section, name, arch, value, unit, baseline, value / baseline)


SECTIONS: dict[str, Callable[[], Iterator[Figure]]] = {
    "speed": speed,
    "hypercall": hypercall,
    "switch": switch,
    "tracing": tracing,
    "crowd": partial(crowd.crowd, 256),
    "qiling": rival.qiling,
}


def measure(section: str | None, progress: Progress) -> list[Figure]:
    """All sections, or one. KhsError if there is no such section."""
    if section is not None and section not in SECTIONS:
        raise KhsError(f"there is no section '{section}'\n  help: one of {', '.join(SECTIONS)}")
    figures: list[Figure] = []
    for name in [section] if section else SECTIONS:
        progress(f"measuring {name}")
        figures += SECTIONS[name]()
    return figures
