"""khs debug"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

from khs.cli import common, joined, on_board, options, recorded
from khs.cli.run import Engine, Frames, PolicyAt, Record, TraceFile
from khs.errors import KhsError

if TYPE_CHECKING:
    from khs.debug.live import Debuggee, Outcome
    from khs.debug.session import Options
    from khs.engine.result import Result
    from khs.image import Archive

Systems: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SYSTEM...",
        help="A folder with system.toml, an archive, a shipped system, or a recorded run; several "
        "run beside each other in one virtual time.",
    ),
]
Boards: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--board", help="This board instead of the system's own; repeatable, in order."),
]
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
    bool, typer.Option("--live", help="With qemu: do not record first, what gdb changes counts.")
]
PrintOnly: TypeAlias = Annotated[
    bool, typer.Option("--print-only", help="Print gdb's command file, and run nothing.")
]
Outside: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        *("--bench", "--serial", "--can", "--gpio", "--serve", "--pace"),
        hidden=True,
        is_eager=True,  # before SYSTEM is missed, which a bench names
        callback=lambda given: _record_first() if given else given,
    ),
]
Tui: TypeAlias = Annotated[bool, typer.Option("--tui", help="In the terminal, without gdb.")]


def debug(
    systems: Systems,
    engine: Annotated[
        Engine, typer.Option(help="Where it runs: in this process, or a whole board in QEMU.")
    ] = Engine.unicorn,
    boards: Boards = None,
    frames: Frames = None,
    overlays: options.Overlays = None,
    policy_at: PolicyAt = None,
    trace: TraceFile = None,
    record: Record = None,
    device: joined.DeviceModels = None,
    outside: Outside = None,
    files: CommandFiles = None,
    gdb_only: GdbOnly = False,
    port: Port = None,
    live: Live = False,
    print_only: PrintOnly = False,
    tui: Tui = False,
    as_json: options.Json = False,
) -> int:
    """Debug a system in gdb, forwards and backwards: every partition is an inferior.

    Breakpoints, watchpoints and steps are gdb's own, and so is the way back: reverse-continue,
    reverse-stepi. `hc sensor port_write` stops at a hypercall, `denied` behind a denial, `why`
    explains it, `back-denied` goes back to the last one, `break-in sensor main` is a breakpoint in
    one partition's program, `where-am-i` says whose window it is; `monitor help` lists what else
    there is. Virtual time stands still at a stop, and looking changes nothing. Without a gdb on
    this machine it is the terminal's debugger.

    SYSTEM may be the folder of khs run --record: it is that run then, with its inputs and policies,
    and its end tells whether its trace is the recorded one. --record keeps what gdb writes, too.
    So a run on a bench is debugged, or one that serial lines or buses were joined to.

    With --engine qemu it is the whole board with its kernel, forwards only. Exits 1 if gdb's
    commands failed.

        khs debug iot-gateway
        khs debug iot-gateway --with attack.toml -x commands.gdb
        khs debug iot-gateway traffic-light --board q35 --board sabrelite
        khs debug iot-gateway --tui
        khs debug iot-gateway --port 0
        khs run iot-gateway --record kept && khs debug kept
        khs debug iot-gateway --engine qemu --board q35
    """
    from khs.debug import session

    serve, output = gdb_only or port is not None, sys.stderr.buffer if as_json else None
    session.check_files(files or [], serve)
    asked = session.Options(files or [], serve, port, live, output)
    named = list(zip(systems, _each(boards or [], len(systems)), strict=True))
    _check_options(engine, tui, bool(files or serve or trace or record), print_only, live, as_json)
    _check_one(systems, engine, policy_at, trace, record, device)
    if engine is Engine.qemu:
        return _on_board(*named[0], overlays, frames, trace, asked, print_only, as_json)
    debuggees = [
        debuggee(*each, overlays, frames, policy_at, trace, record, device, as_json)
        for each in named
    ]
    return _print(debuggees) if print_only else _on_unicorn(debuggees, asked, tui, as_json)


def _check_options(
    engine: Engine, tui: bool, others: bool, print_only: bool, live: bool, as_json: bool
) -> None:
    """Ends the command for options that the others leave no room for."""
    if print_only and as_json:
        common.usage("--print-only prints gdb's commands, and there is no JSON of them")
    if tui and engine is Engine.qemu:
        common.usage(
            "--tui is for the unicorn engine: a board in QEMU is debugged in gdb\n"
            "  help: leave --tui out, or --engine qemu"
        )
    if tui and (others or print_only or as_json):
        common.usage("--tui is for people at a terminal: no gdb's options, no files, no JSON")
    if live and engine is Engine.unicorn:
        common.usage("--live is for QEMU: on Unicorn what gdb writes counts in any case")


def _check_one(
    systems: list[str],
    engine: Engine,
    policy_at: list[str] | None,
    trace: Path | None,
    record: Path | None,
    device: list[str] | None,
) -> None:
    """Ends the command if one of its options is not for these systems on that engine."""
    on_board = engine is Engine.qemu
    if on_board and len(systems) > 1:
        common.usage("a board in QEMU is debugged alone\n  help: without --engine qemu, several")
    if on_board and any(map(recorded.is_recording, systems)):
        common.usage("what was recorded on Unicorn is debugged there\n  help: without --engine")
    if policy_at and (on_board or len(systems) > 1):
        common.usage("--policy-at is for one system on Unicorn\n  help: khs run --record keeps it")
    if record is not None and (on_board or len(systems) > 1):
        common.usage("--record is for one system on Unicorn\n  help: leave it out")
    if device and (on_board or len(systems) > 1):
        common.usage("--device is for one system on Unicorn\n  help: leave it out")
    if trace is not None and len(systems) > 1:
        common.usage("--trace is one file, and these are several systems\n  help: leave it out")


def _record_first() -> NoReturn:
    """Ends the command, whose arguments are still being read."""
    error = KhsError(
        "a debugger goes back in time, and what is outside cannot: no bench, lines, buses, pace\n"
        "  help: khs run SYSTEM --bench FILE --record REC, or with lines; then khs debug REC"
    )
    common.tell(error)
    raise typer.Exit(error.exit_code)


def _each(boards: Sequence[str], count: int) -> list[str | None]:
    """A board for each system: none named, one for all, or one for each."""
    if len(boards) not in (0, 1, count):
        common.usage(
            f"{len(boards)} boards for {count} systems\n"
            "  help: --board once for all of them, or once for each in their order"
        )
    return list(boards) if len(boards) == count else [boards[0] if boards else None] * count


def _open(system: str, board: str | None, overlays: list[Path] | None, quiet: bool) -> Archive:
    from khs.cli.progress import Reporter
    from khs.image import open_system

    layers = common.layers(system, overlays)
    with Reporter(quiet=quiet) as reporter:
        return open_system(system, layers, board, progress=reporter.step)


# ---- on Unicorn


def debuggee(
    system: str,
    board: str | None,
    overlays: list[Path] | None,
    frames: int | None,
    policy_at: Sequence[str] | None,
    trace: Path | None,
    record: Path | None,
    device: Sequence[str] | None,
    quiet: bool,
) -> Debuggee:
    """A system as the debugger takes it, built if need be, or a recorded run."""
    from khs import runs, swaps
    from khs.attached import attached
    from khs.cli.run import source_of
    from khs.debug.live import Debuggee
    from khs.image.open import find_system

    if recorded.is_recording(system):
        recorded.refuse(system, overlays, board, frames, policy_at, device=device)
        return recorded.debuggee(Path(system), trace, record)
    archive, layers = _open(system, board, overlays, quiet), common.layers(system, overlays)
    given = policy_at or []
    changes = swaps.read_swaps(given, archive, system, board=board, overlays=layers)
    plan = runs.plan(
        archive,
        frames=frames,
        swaps=changes,
        trace=trace,
        record=record,
        source=source_of(system, board, layers),
        attached=attached(devices=device),
    )
    runs.check_devices(plan)
    return Debuggee.explained(plan, find_system(system), layers, given)


def _print(debuggees: list[Debuggee]) -> int:
    from khs.debug import live

    print(live.preview(debuggees, Path("FOLDER"), "HOST:PORT"), end="")
    return common.OK


def _on_unicorn(debuggees: list[Debuggee], asked: Options, tui: bool, as_json: bool) -> int:
    from khs.debug import live
    from khs.debug.gdb import NoGdbError

    if tui:
        return _in_terminal(debuggees)
    try:
        outcome = live.debug(debuggees, asked, common.note)
    except NoGdbError:
        if asked.files or as_json or not sys.stdin.isatty():
            raise
        return _in_terminal(debuggees)
    return told(outcome, debuggees, as_json)


def _in_terminal(debuggees: list[Debuggee]) -> int:
    """The terminal's debugger, of one system."""
    from khs.debug.live import terminal

    if len(debuggees) > 1:
        common.usage(
            "the terminal's debugger is for one system\n  help: with gdb there may be more"
        )
    result = terminal(debuggees[0])
    if result is not None:
        return _told(result, debuggees[0], changed=False)
    return common.OK


def told(outcome: Outcome, debuggees: Sequence[Debuggee], as_json: bool) -> int:
    """What came of it; the exit code."""
    if as_json:
        rows = [
            ran.to_json() | {"changed": outcome.changed} | _compared(ran.result, each)
            for ran, each in zip(outcome.rans, debuggees, strict=True)
        ]
        common.print_json(rows[0] if len(rows) == 1 else rows)
    pairs = zip(outcome.rans, debuggees, strict=True)
    codes = [_told(ran.result, each, outcome.changed) for ran, each in pairs]
    if outcome.status:
        common.note(f"gdb ended with status {outcome.status}")
        return common.FINDINGS
    return max(codes)


def _compared(result: Result, debuggee: Debuggee) -> dict[str, bool | None]:
    from khs.replay import is_equal

    recording = debuggee.recording
    if recording is None:
        return {}
    return {"equal": None if recording.interrupted else is_equal(recording, result)}


def _told(result: Result, debuggee: Debuggee, changed: bool) -> int:
    """Says how the run ended and which one it was; the exit code."""
    recording = debuggee.recording
    equal = _compared(result, debuggee).get("equal")
    if result.interrupted:
        common.note(f"ended after {result.frames} of {debuggee.plan.frames} frames")
        return common.OK
    if changed:
        how = "gdb has changed the system"
    elif recording is None:
        how = "the trace is that of the undebugged run"
    elif equal is None:
        how = "and the recorded run did not end: there is no trace to compare with"
    else:
        how = f"the trace is {'that' if equal else 'NOT that'} of the recorded run"
    common.note(f"{result.frames} frames, {how}")
    if recording is None or changed or equal is not False:
        return common.OK
    for line in recording.other_versions():
        common.note(f"recorded with {line}")
    return common.FINDINGS


def _on_board(
    system: str,
    board: str | None,
    overlays: list[Path] | None,
    frames: int | None,
    trace: Path | None,
    asked: Options,
    print_only: bool,
    as_json: bool,
) -> int:
    from khs.image.open import find_system

    archive, place = _open(system, board, overlays, as_json), find_system(system)
    return on_board.debug(archive, place, frames, trace, asked, print_only, as_json)
