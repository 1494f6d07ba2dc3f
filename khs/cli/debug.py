"""khs debug"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from khs.cli import common, options
from khs.cli.run import Engine, Frames, TraceFile

if TYPE_CHECKING:
    from khs.debug.session import Session

CommandFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("-x", "--batch", metavar="FILE", help="gdb commands to run instead of a prompt."),
]
GdbOnly: TypeAlias = Annotated[
    bool, typer.Option("--gdb-only", help="Start no gdb; say how to connect one.")
]
Port: TypeAlias = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="The same on this TCP port of 127.0.0.1; 0: any, printed."),
]
Live: TypeAlias = Annotated[
    bool, typer.Option("--live", help="Do not record first: what gdb changes counts.")
]
PrintOnly: TypeAlias = Annotated[
    bool, typer.Option("--print-only", help="Print gdb's command file, and run nothing.")
]


def debug(
    system: options.System,
    engine: Annotated[
        Engine, typer.Option(help="Where it runs; so far a board in QEMU alone.")
    ] = Engine.unicorn,
    board: options.Board = None,
    frames: Frames = None,
    overlays: options.Overlays = None,
    trace: TraceFile = None,
    files: CommandFiles = None,
    gdb_only: GdbOnly = False,
    port: Port = None,
    live: Live = False,
    print_only: PrintOnly = False,
    as_json: options.Json = False,
) -> int:
    """Debug a system on its emulated board: gdb with kernel, partitions and hypercalls.

    The run is recorded, then gdb gets it again from the start: however often it stops, the trace
    is that of the undebugged run. In gdb: `hc sensor port_write` stops at a hypercall, `denied` at
    a denial, `break-in sensor main` in one partition's program, `where-am-i` says whose window
    it is. Exits 1 if gdb's commands failed.

        khs debug iot-gateway --engine qemu
        khs debug iot-gateway --engine qemu --board q35 --with attack.toml
        khs debug iot-gateway --engine qemu -x commands.gdb
        khs debug iot-gateway --engine qemu --port 0
    """
    if engine is not Engine.qemu:
        common.usage(
            f"there is no debugger for the {engine.value} engine yet\n"
            "  help: khs debug SYSTEM --engine qemu debugs it on its emulated board"
        )
    from khs import runs
    from khs.cli.progress import Reporter
    from khs.debug import session
    from khs.image import open_system
    from khs.image.open import find_system

    session.check_files(files or [])
    layers = common.layers(system, overlays)
    with Reporter(quiet=as_json) as reporter:
        archive = open_system(system, layers, board, progress=reporter.step)
    place = find_system(system)
    if print_only:
        folder = Path("FOLDER")
        print(session.script(archive, folder, str(folder / "gdb"), place, live), end="")
        return common.OK
    plan = runs.plan(archive, frames=frames, engine=engine.value, trace=trace)
    out = sys.stderr if as_json else sys.stdout
    serve, output = gdb_only or port is not None, sys.stderr.buffer if as_json else None
    asked = session.Options(files or [], serve, port, live, output)
    show = partial(print, file=out, flush=True)
    done = session.debug(plan, place, asked, common.note, show)
    return _end(done, plan.frames, as_json)


def _end(done: Session, frames: int, as_json: bool) -> int:
    result = done.ran.result
    if as_json:
        common.print_json(done.ran.to_json() | {"same_as_undebugged": done.same})
    if result.interrupted:
        common.note(f"switched off after {result.frames} of {frames} frames")
    elif done.same:
        common.note(f"{result.frames} frames, the trace is that of the undebugged run")
    elif done.same is False:
        common.note("the trace is another than the undebugged run's: gdb has changed the system")
    else:
        common.note(f"{result.frames} frames")
    if done.status:
        common.note(f"gdb ended with status {done.status}")
        return common.FINDINGS
    return common.OK
