"""khs run"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from khs.cli import common, joined, options

if TYPE_CHECKING:
    from khs.cli.progress import Reporter
    from khs.hil.bench import Bench
    from khs.record import Source
    from khs.runs import Plan, Ran


class Engine(Enum):
    """What the kernel runs on."""

    unicorn = "unicorn"
    qemu = "qemu"


RunsOn: TypeAlias = Annotated[Engine, typer.Option(help="This process, or a whole board in QEMU.")]
Frames: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Major frames to run; default: run.frames.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Recorded with the run; nothing is random so far.")
]
TraceFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="Write everything that happens to this file.")
]
AuditFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Append what the policy has recorded to this file, see `kss audit`."),
]
PolicyAt: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="FRAME=FILE", help="Replace the policy at this frame; repeatable."),
]
Isolate: TypeAlias = Annotated[
    bool, typer.Option("--isolate", help="Run the guests in a child confined by seccomp.")
]
Record: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep what khs replay needs in this folder.")
]
Accel: TypeAlias = Annotated[
    str | None,
    typer.Option(help="QEMU's accelerator: tcg, the default, is exact; kvm and others are not."),
]
ShowConsole: TypeAlias = Annotated[
    bool, typer.Option("--console", help="Print what the guests write to their consoles, at once.")
]
GdbPort: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--gdb",
        metavar="[HOST:]PORT|./SOCKET",
        help="Wait for a gdb there before it begins; 0: any port.",
    ),
]


def run(
    system: Annotated[
        str | None,
        typer.Argument(help="A folder with system.toml, an archive, or a shipped system."),
    ] = None,
    board: options.Board = None,
    engine: RunsOn = Engine.unicorn,
    frames: Frames = None,
    seed: Seed = None,
    trace: TraceFile = None,
    audit: AuditFile = None,
    overlays: options.Overlays = None,
    policy_at: PolicyAt = None,
    isolate: Isolate = False,
    record: Record = None,
    console: ShowConsole = False,
    accel: Accel = None,
    serial: joined.Serial = None,
    device: joined.DeviceModels = None,
    can: joined.CanBuses = None,
    can_log: joined.CanLog = None,
    gpio: joined.Gpio = None,
    serve: joined.Serve = None,
    bench: joined.BenchFile = None,
    pace: joined.PaceName = None,
    max_slip: joined.MaxSlip = None,
    gdb: GdbPort = None,
    as_json: options.Json = False,
) -> int:
    """Boot a system and run it for a number of major frames.

    Prints who used how much time, deadlines, hypercalls, and every distinct denial and fault with
    its reason. Denials are no error: exits 1 only if the health monitor stopped the module, the
    audit trail is full and set to stop the run, or the kernel refused a policy of --policy-at.

        khs run iot-gateway
        khs run iot-gateway --board q35 --frames 50 --json
        khs run iot-gateway --engine qemu --with attack.toml
        khs run mysystem --audit audit.jsonl --policy-at 10=stricter.psl
        khs run iot-gateway --record kept --gdb 1234
        khs run --bench bench.toml --pace real
    """
    from khs import runs
    from khs.attached import attached
    from khs.cli.progress import Reporter
    from khs.hil import bench as benches

    given = None if bench is None else benches.read(bench)
    asked = partial(attached, can_log=can_log, pace=pace, max_slip=max_slip, serve=serve)
    outside = asked(serial, device, can, bench=given, gpio=gpio or ())
    planned = partial(runs.plan, frames=frames, seed=seed, engine=engine.value, accel=accel)
    planned = partial(planned, isolate=isolate, trace=trace, audit=audit, record=record)
    what = What(_system(system, given), board, overlays, policy_at)
    with Reporter(quiet=as_json, live=not (console or outside.live or outside.serial)) as reporter:
        plan = _planned(what, partial(planned, attached=outside), reporter)
        if gdb is not None:
            return _debugged(plan, gdb, what, as_json)
        ran = _ran(plan, reporter, console, as_json)
    _report(ran, as_json)
    return _end(ran, plan)


@dataclass(frozen=True)
class What:
    """The system, as named, and what replaces parts of it."""

    system: str
    board: str | None
    overlays: list[Path] | None
    policy_at: list[str] | None


def _planned(what: What, planned: Callable[..., Plan], reporter: Reporter) -> Plan:
    """Builds it, and plans its run."""
    from khs import runs, swaps
    from khs.image import open_system

    system, board, layers = what.system, what.board, common.layers(what.system, what.overlays)
    archive = open_system(system, layers, board, progress=reporter.step)
    later = swaps.read_swaps(what.policy_at or [], archive, system, board=board, overlays=layers)
    plan = planned(archive, swaps=later, source=source_of(system, board, layers))
    runs.check_devices(plan)
    return plan


def _system(named: str | None, bench: Bench | None) -> str:
    """Of the bench, if none is named."""
    if named is not None:
        return named
    if bench is None:
        raise typer.BadParameter("which system? a folder, an archive, or --bench FILE")
    return bench.system


def _ran(plan: Plan, reporter: Reporter, console: bool, as_json: bool) -> Ran:
    """What serial lines write is not mixed with what is printed as JSON."""
    from khs import runs

    reporter.step(f"running {plan.frames} frames")
    out = sys.stderr.buffer if as_json else None
    return runs.run(plan, reporter.frames, _show(as_json) if console else None, common.note, out)


def _show(as_json: bool) -> partial[None]:
    """Prints lines where they do not come between what is printed as JSON."""
    return partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)


def _debugged(plan: Plan, gdb: str, what: What, as_json: bool) -> int:
    """Under a gdb from elsewhere; it ends like a run that nobody has looked at."""
    from khs.debug import live
    from khs.debug.rsp.listen import address
    from khs.errors import KhsError
    from khs.image.open import find_system

    attached = plan.attached
    lines = (attached.serial, attached.gpio, attached.joins, attached.can_log)
    if any(lines) or attached.live or attached.plants or attached.pace == "real":
        raise KhsError(
            "--gdb goes back in time, and what is outside cannot: no lines, plants, pace\n"
            "  help: record the run with --record, and debug the recording"
        )
    layers = common.layers(what.system, what.overlays)
    debuggee = live.Debuggee.explained(plan, find_system(what.system), layers, what.policy_at or [])
    outcome = live.serve([debuggee], address(gdb), common.note)
    (ran,) = outcome.rans
    _report(ran, as_json)
    if outcome.changed:
        common.note("gdb has changed the system: the trace is not that of the undebugged run")
    return _end(ran, plan)


def source_of(system: str, board: str | None, layers: list[Path]) -> Source | None:
    """What SYSTEM is built from, None if it is an archive."""
    from khs.image.open import find_system, is_description
    from khs.record import Source

    path = find_system(system)
    return Source(path, board, tuple(layers)) if is_description(path) else None


def _report(ran: Ran, as_json: bool) -> None:
    if as_json:
        common.print_json(ran.to_json())
        return
    from khs.cli.tables import run_table

    run_table(ran.to_json(), ran.summary)


def _end(ran: Ran, plan: Plan) -> int:
    """Says what went wrong beside the system; the exit code."""
    for line in ran.refused:
        common.note(line)
    if ran.result.interrupted or ran.stopped:
        why = ran.stopped or ran.ending.words
        done = f"{ran.result.frames} of {plan.frames} frames"
        common.note(f"{why}: stopped after {done}, results so far")
        return common.FINDINGS if ran.stopped else ran.ending.code
    return common.OK if ran.healthy else common.FINDINGS
