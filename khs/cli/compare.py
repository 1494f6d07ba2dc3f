"""khs compare"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from khs.cli import common, options

if TYPE_CHECKING:
    from khs.compare import Comparison
    from khs.engine.result import Result
    from khs.runs import Plan
    from khs.trace import Names


def compare(
    system: options.System,
    boards: Annotated[
        list[str] | None,
        typer.Option("--board", metavar="TEXT", help="This board instead of the system's own."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Major frames to run; default: run.frames.")
    ] = None,
    overlays: options.Overlays = None,
    as_json: options.Json = False,
) -> int:
    """Run a system on Unicorn and on its board in QEMU, and compare what happened.

    Per partition: every hypercall with arguments and results, and every verdict with its message;
    times may differ. Ends with "equal", or with the first difference and what came before it
    (exit 1). Partitions that cannot be compared are named; if there are no others that is exit 1,
    too.

        khs compare iot-gateway
        khs compare iot-gateway --board q35 --with attack.toml
    """
    from khs import compare, runs
    from khs.attached import Attached
    from khs.cli.progress import Reporter
    from khs.image import open_system
    from khs.trace import Names

    if boards and len(boards) > 1:
        common.usage(
            f"a system is compared on one board, and these are {len(boards)}: {', '.join(boards)}\n"
            "  help: once for each board"
        )
    layers = common.layers(system, overlays)
    with Reporter(quiet=as_json) as reporter:
        archive = open_system(system, layers, boards[0] if boards else None, progress=reporter.step)
        joined = Attached(can=compare.buses(archive.manifest))
        plans = [
            runs.plan(archive, frames=frames, engine=engine, attached=joined)
            for engine in ("unicorn", "qemu")
        ]
        recorders = []
        for plan in plans:
            reporter.step(f"running {plan.frames} frames on {plan.engine}")
            with runs.open_machine(plan, reporter.step) as machine:
                recorders.append(compare.Recorder(len(archive.names["partitions"])))
                result = machine.run(plan.frames, sink=recorders[-1], progress=reporter.frames)
            if result.interrupted:
                return _interrupted(plan, result, as_json)
    names = Names.from_header(plans[0].header)
    found = compare.compare(
        names,
        *recorders,
        left_out=compare.incomparable(archive.manifest),
        last_frame=result.ticks - result.ticks // max(result.frames, 1),
    )
    _report(found, names, as_json)
    return common.OK if found.equal else common.FINDINGS


def _interrupted(plan: Plan, result: Result, as_json: bool) -> int:
    """A run that was cut short is compared with nothing."""
    if as_json:
        reached = {"engine": plan.engine, "frames": result.frames, "of": plan.frames}
        common.print_json({"equal": False, "interrupted": True, "reached": reached})
    done = f"{result.frames} of {plan.frames} frames on {plan.engine}"
    common.note(f"interrupted after {done}: nothing compared")
    return common.interrupted()


def _report(found: Comparison, names: Names, as_json: bool) -> None:
    if as_json:
        partitions = {name: {"events_compared": n} for name, n in found.compared.items()}
        first = found.difference.to_json(names) if found.difference else None
        common.print_json(
            {
                "equal": found.equal,
                "interrupted": False,
                "partitions": partitions,
                "left_out": dict(found.left_out),
                "first_difference": first,
            }
        )
        return
    from khs.trace import format

    for name, steps in found.compared.items():
        print(f"{name}: {steps} events equal")
    for name, reason in found.left_out.items():
        print(f"{name}: not compared: {reason}")
    if found.empty:
        print("nothing compared")
        return
    if found.difference is None:
        compared, there = len(found.compared), len(names.partitions)
        print("equal" if compared == there else f"equal, {compared} of {there} partitions compared")
        return
    difference = found.difference
    print(f"event {difference.index} of {difference.partition} is the first that differs; before:")
    for line in difference.before:
        print(f"    {line}")
    for label, step in (("unicorn", difference.a), ("qemu   ", difference.b)):
        print(f"  {label} {format(step.event, names) if step else 'has ended'}")
