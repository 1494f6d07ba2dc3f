"""khs run"""

from __future__ import annotations

import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.engine.result import Result
    from khs.trace.summary import Summary


class Engine(Enum):
    """What the kernel runs on."""

    unicorn = "unicorn"


def run(
    system: options.System,
    board: options.Board = None,
    engine: Annotated[Engine, typer.Option(help="What the kernel runs on.")] = Engine.unicorn,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Major frames to run; default: run.frames.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Recorded with the run; nothing is random so far.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write everything that happens to this file.")
    ] = None,
    overlays: options.Overlays = None,
    policy_at: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME=FILE", help="Replace the policy at this frame; repeatable."),
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Run the guests in a child confined by seccomp.")
    ] = False,
    console: Annotated[
        bool,
        typer.Option("--console", help="Print what the guests write to their consoles, at once."),
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Boot a system and run it for a number of major frames.

    Prints who used how much time, deadlines, hypercalls, and every distinct denial and fault with
    its reason. Denials are no error: exits 1 only if the health monitor stopped the module.

        khs run iot-gateway
        khs run iot-gateway --board q35 --frames 50 --json
        khs run iot-gateway --with attack.toml
        khs run mysystem --trace run.trace
        khs run mysystem --policy-at 100=stricter.psl
    """
    from khs import runs
    from khs.cli.progress import Reporter
    from khs.image import open_system

    layers = common.layers(system, overlays)
    with Reporter(quiet=as_json, live=not console) as reporter:
        archive = open_system(system, layers, board, progress=reporter.step)
        swaps = runs.read_swaps(policy_at or [], archive, system, board=board, overlays=layers)
        plan = runs.plan(
            archive, frames=frames, seed=seed, swaps=swaps, isolate=isolate, trace=trace
        )
        for line in runs.remarks(plan):
            common.note(line)
        reporter.step(f"running {plan.frames} frames")
        show = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
        result, summary = runs.run(plan, reporter.frames, show if console else None)
    _report(result, summary, as_json)
    if result.interrupted:
        common.note(f"interrupted after {result.frames} of {plan.frames} frames: results so far")
        return common.INTERRUPTED
    return common.OK if result.healthy else common.FINDINGS


def _report(result: Result, summary: Summary, as_json: bool) -> None:
    if as_json:
        common.print_json(result.to_json())
        return
    from khs.cli.tables import run_table

    run_table(result.to_json(), summary)
