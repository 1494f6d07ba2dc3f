"""A debugging session on Unicorn: the systems are served to a gdb, which is started here or comes
from elsewhere."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from khs import runs
from khs.config.model import Arch
from khs.debug.commands import Commands, description, write_data
from khs.debug.gdb import Gdb, find_gdb, somebody_else
from khs.debug.rsp.listen import LOOPBACK, Address
from khs.debug.rsp.registers import layout
from khs.debug.rsp.server import Server
from khs.debug.rsp.systems import Explain, Systems
from khs.debug.rsp.world import World
from khs.debug.session import Options, Say, for_gdb
from khs.debug.source import sources
from khs.debug.stops import Cause
from khs.debug.target import Target
from khs.engine.result import Result
from khs.engine.unicorn import take_for
from khs.errors import KhsError
from khs.monitor import ask
from khs.policies import of_run
from khs.record import Recording
from khs.runs import Plan, Progress, Ran, refused
from khs.trace import Names, Writer
from khs.trace.console import ConsoleLines
from khs.trace.history import History
from khs.trace.summary import Summary


@dataclass(frozen=True)
class Debuggee:
    """A system: what to run, the document or archive it is from, and who explains its verdicts.
    `layers`: documents over it; `policy_at`: as given to the run; `recording`: the run that it is
    to be, if it was recorded."""

    plan: Plan
    place: Path
    explain: Explain | None = None
    layers: tuple[Path, ...] = ()
    policy_at: tuple[str, ...] = ()
    recording: Recording | None = None

    @classmethod
    def explained(
        cls,
        plan: Plan,
        place: Path,
        layers: Sequence[Path] = (),
        policy_at: Sequence[str] = (),
        recording: Recording | None = None,
    ) -> Self:
        """One whose verdicts are explained with the policies' texts, if they are at hand."""

        def explain(found: History) -> ask.Answer:
            return ask.explain(of_run(plan.header, place, layers, policy_at), found)

        return cls(plan, place, explain, tuple(layers), tuple(policy_at), recording)


@dataclass(frozen=True)
class Outcome:
    """What came of it, by system. `changed`: whether gdb has written registers or memory. `ended`:
    the run went to its end. `status`: gdb's exit status, None if it was not ours."""

    rans: tuple[Ran, ...]
    changed: bool
    ended: bool
    status: int | None = None


def debug(debuggees: Sequence[Debuggee], options: Options, say: Say) -> Outcome:
    """`khs debug`: the run ends with gdb. With `options.serve` no gdb is started, and the way to
    connect one is said. KhsError if there is no gdb, or if a system cannot be run."""
    archs = [Arch[str(each.plan.archive.manifest["arch"]).upper()] for each in debuggees]
    path = "" if options.serve else find_gdb(*archs)
    with _systems(debuggees) as systems, tempfile.TemporaryDirectory(prefix="khs-debug-") as name:
        folder = Path(name)
        place = folder / "gdb" if options.port is None else (LOOPBACK, options.port)
        server = Server(systems, place, say, attached=options.serve)
        file = folder / "commands"
        _prepare(systems, folder, path)
        text = commands(systems, debuggees, folder, server.place, ends=not options.serve)
        file.write_text(text, encoding="utf-8")
        files = for_gdb(options.files, folder)
        gdb = None if options.serve else Gdb(path, file, files, options.output)

        def awaited() -> None:
            say(f"gdb is awaited at {server.place}; end with Ctrl-C. Connect with")
            say(f"  gdb-multiarch -x {file}")

        return _attended(server, systems, debuggees, gdb, awaited)


def serve(debuggees: Sequence[Debuggee], address: Address, say: Say) -> Outcome:
    """`khs run --gdb`: gdb comes, looks, and may go; the run goes on to its end then."""
    with _systems(debuggees) as systems, tempfile.TemporaryDirectory(prefix="khs-debug-") as name:
        server, folder = Server(systems, address, say), Path(name)
        file = folder / "commands"
        _prepare(systems, folder, "")
        text = commands(systems, debuggees, folder, server.place, ends=False)
        file.write_text(text, encoding="utf-8")

        def awaited() -> None:
            say(f"gdb is awaited at {server.place}; Ctrl-C ends the run")
            say(f"  gdb-multiarch -x {file}")
            say("on another machine, without hc, why, denied and names of hypercalls:")
            say(f"  gdb-multiarch -ex 'target remote {server.place}' -ex 'stepi 0'")

        return _attended(server, systems, debuggees, None, awaited)


def commands(
    systems: Systems, debuggees: Sequence[Debuggee], folder: Path, place: str, ends: bool
) -> str:
    """gdb's command file."""
    labels = systems.world.labels
    boards = [str(each.plan.archive.manifest["board"]) for each in debuggees]
    title = ", ".join(f"{a} on {b}" for a, b in zip(labels, boards, strict=True))
    folders = [path for each in debuggees for path in sources(each.place)]
    known = list(dict.fromkeys(folders))
    archs = [target.arch for target in systems.world.targets]
    return Commands(title, archs, systems.world.processes, folder, place, known, ends).text()


def preview(debuggees: Sequence[Debuggee], folder: Path, place: str) -> str:
    """gdb's command file, without a gdb."""
    with _systems(debuggees) as systems:
        return commands(systems, debuggees, folder, place, ends=True)


def terminal(debuggee: Debuggee) -> Result | None:
    """The terminal's debugger; what the run came to when its user ended it. KhsError if it cannot
    be had, or the system not be debugged."""
    from khs.debug import tui

    _check(debuggee.plan)
    return tui.run(debuggee.plan, debuggee.place, debuggee.layers, debuggee.policy_at)


@contextmanager
def _systems(debuggees: Sequence[Debuggee]) -> Iterator[Systems]:
    plans = [each.plan for each in debuggees]
    for plan in plans:
        _check(plan)
    targets: list[Target] = []
    try:
        for plan in plans:
            targets.append(Target(plan))
        yield Systems(World(targets), plans, [each.explain for each in debuggees])
    finally:
        for target in targets:
            target.close()


def _check(plan: Plan) -> None:
    """KhsError for what a debugged run cannot be."""
    if plan.machines:
        raise KhsError(
            'partitions of kind "board" live in a time of their own and cannot be debugged\n'
            "  help: khs run --record keeps what they said, and the rest can be replayed"
        )
    if plan.engine != "unicorn":
        raise KhsError(
            "--gdb is for the unicorn engine\n"
            "  help: khs debug SYSTEM --engine qemu debugs the system on its emulated board"
        )
    refused = {"--isolate": plan.isolate, "--audit": plan.audit is not None}
    for option, asked in refused.items():
        if asked:
            raise KhsError(f"{option} is not for a debugged run\n  help: leave one of both out")


def _prepare(systems: Systems, folder: Path, gdb: str) -> None:
    """Programs, registers and data for a gdb on this machine."""
    for target in systems.world.targets:
        text = layout(target.arch).description()
        (folder / description(target.arch)).write_text(text, encoding="utf-8")
    for process in systems.world.processes:
        program = systems.file(systems.path(process))
        file = folder / systems.path(process).lstrip("/")
        file.parent.mkdir(exist_ok=True)
        if program is not None:
            file.write_bytes(program)
    write_data(gdb, folder)


def _attended(
    server: Server,
    systems: Systems,
    debuggees: Sequence[Debuggee],
    gdb: Gdb | None,
    awaited: Callable[[], None],
) -> Outcome:
    ended = asyncio.run(_both(server, gdb, awaited))
    targets = systems.world.targets
    pairs = list(zip(debuggees, targets, strict=True))
    rans = tuple(_ran(each.plan, target) for each, target in pairs)
    for ran, (each, target) in zip(rans, pairs, strict=True):
        _record(each.plan, ran, target)
    changed = any(target.changes() != list(each.plan.changes) for each, target in pairs)
    return Outcome(rans, changed, ended, gdb.status if gdb else None)


async def _both(server: Server, gdb: Gdb | None, awaited: Callable[[], None]) -> bool:
    """Until gdb and the server have ended; Ctrl-C is gdb's if that is ours, else it is the end."""
    serving = asyncio.get_running_loop().run_in_executor(None, server.run)
    if gdb is not None:
        try:
            await gdb.attend()
        finally:
            server.leave()
        return await serving
    waiting = asyncio.create_task(somebody_else())
    await asyncio.sleep(0)  # from here on Ctrl-C is its
    awaited()
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    server.close()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    return await serving


def run(
    plan: Plan, progress: Progress | None = None, console: Callable[[str], object] | None = None
) -> Ran:
    """`khs.runs.run` of a run that a debugger has changed: its writes come again. `console` is told
    at the end."""
    _check(plan)
    with Target(plan) as target:
        while target.step_frame().cause is not Cause.END:
            if progress is not None:
                progress(target.status().frames, plan.frames)
        return _ran(plan, target, console)


def _record(plan: Plan, ran: Ran, target: Target) -> None:
    """With what was written, which is known at the end."""
    recorder = runs.recorder(plan, live=True)
    if recorder is not None:
        inputs = plan.archive.inputs if plan.inputs is None else plan.inputs
        recorder.end(ran.result, inputs, target.changes())


def _ran(plan: Plan, target: Target, console: Callable[[str], object] | None = None) -> Ran:
    """What `khs run` tells of a run; its trace is written now."""
    names = Names.from_header(plan.header)
    summary = Summary(names)
    shown = None if console is None else ConsoleLines(names, console)
    if shown is not None:
        summary.on_console = shown.add
    with nullcontext() if plan.trace is None else Writer(plan.trace, plan.header) as writer:
        target.retell(take_for(writer, summary))
    if shown is not None:
        shown.close()
    return Ran(target.result(), summary, refused=tuple(refused(plan, summary)))
