"""`kss bench`: what verdicts and compiling cost on this machine.

A verdict is told in multiples of a table look-up timed beside it, which is what an access decision
costs at least; so a slow machine does not make it look worse.

scenarios  policies and events
timing     the loops
rivals     other policy engines, where they are installed
sepol      one of them, SELinux's
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from kss.bench import rivals, scenarios, timing
from kss.compiler import compile_policy
from kss.errors import KssError
from kss.vm import Vm

Figure: TypeAlias = dict[str, Any]
SECTIONS = ("verdict", "bindings", "compile", "rivals")


def measure(section: str | None, say: Callable[[str], None]) -> list[Figure]:
    """The figures of a section, or of all. KssError if there is none of that name."""
    if section is not None and section not in SECTIONS:
        raise KssError(f"there is no section {section}: one of {', '.join(SECTIONS)}")
    wanted = {section} if section else set(SECTIONS)
    figures: list[Figure] = []
    for name, parts in (
        ("verdict", _verdicts),
        ("bindings", _bindings),
        ("compile", _compiling),
        ("rivals", lambda: rivals.measure(say)),
    ):
        if name in wanted:
            say(f"measuring {name}")
            figures += parts()
    return figures


def figure(
    section: str,
    name: str,
    value: float,
    unit: str,
    baseline: float | None = None,
    most: float | None = None,
) -> Figure:
    """One figure; its ratio to the baseline, or itself without one, is to be at most `most`."""
    ratio = None if baseline is None else value / baseline
    judged = value if ratio is None else ratio
    return {
        "section": section,
        "name": name,
        "arch": "host",
        "value": round(value, 4),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 4),
        "ratio": None if ratio is None else round(ratio, 2),
        "asked": None if most is None else f"<= {most:g}" + ("" if ratio else f" {unit}"),
        "ok": most is None or judged <= most,
    }


def _verdicts() -> Iterator[Figure]:
    best = None
    for scenario in scenarios.scenarios():
        vm = Vm(compile_policy(scenarios.load(scenario.policy).tree, max_sids=scenario.max_sids))
        for event in scenario.setup:
            if not vm.judge(event).granted:
                raise KssError(f"{scenario.name}: an event that prepares it was denied")
        cost = timing.verdict(vm, scenario.events, denied=scenario.denied)
        best = min(best or cost.look_up, cost.look_up)
        yield figure("verdict", scenario.name, cost.taken, "ns", cost.look_up, scenario.most)
    if best is not None:
        yield figure("verdict", "table look-up", best, "ns")
        large = timing.look_up(timing.LARGE_TABLE)
        yield figure("verdict", "table look-up, 4 MiB as for 100,000 SIDs", large, "ns")


def _bindings() -> Iterator[Figure]:
    """The same verdict in policies of more and more bindings."""
    few = None
    for count in (10, 1_000, 10_000):
        vm = Vm(compile_policy(scenarios.load(scenarios.bindings(count)).tree))
        cost = timing.verdict(vm, [scenarios.request()]).taken
        yield figure("bindings", f"verdict, {count:,} bindings", cost, "ns", few, few and 2)
        few = few or cost


def _compiling() -> Iterator[Figure]:
    """Reading, checking and compiling; ten times the bindings should take ten times as long."""
    took = {}
    for count in (1_000, 10_000):
        text = scenarios.bindings(count)
        began = time.process_time()
        compile_policy(scenarios.load(text).tree)
        took[count] = time.process_time() - began
    yield figure("compile", "1,000 bindings", took[1_000], "s", most=2)
    yield figure(
        "compile", "10,000 bindings, to 10 x 1,000", took[10_000], "s", 10 * took[1_000], 1.5
    )
