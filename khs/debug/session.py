"""One debugging session: the run is recorded, then it runs again under gdb."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from khs import runs
from khs.config.model import Arch
from khs.debug.gdb import Gdb, find_gdb, somebody_else
from khs.debug.script import FIRMWARE, NAMES, Script
from khs.debug.source import sources
from khs.engine.qemu.board import ICOUNT, replaying
from khs.engine.qemu.control import Debugging, Listener, Recording
from khs.engine.result import Result
from khs.errors import KhsError
from khs.image import Archive
from khs.runs import Plan, Ran
from khs.toolchain.firmware import build_firmware

Say = Callable[[str], object]


@dataclass(frozen=True)
class Options:
    """How to debug. `files`: command files for gdb, which then has no prompt; `serve`: start no
    gdb, wait for another one; `port`: on this one of 127.0.0.1 (0: any) and not in the file system;
    `live`: do not record, so that what gdb writes counts; `output`: of gdb, None for our own."""

    files: Sequence[Path] = ()
    serve: bool = False
    port: int | None = None
    live: bool = False
    output: IO[bytes] | None = None


@dataclass(frozen=True)
class Session:
    """What came of it. `ran` is the run under gdb, `recorded` the one before it, None if there was
    none. `status`: gdb's exit status, None if it was not ours."""

    ran: Ran
    recorded: Result | None
    status: int | None

    @property
    def same(self) -> bool | None:
        """Whether the run came to the trace of an undebugged one; None if it did not end."""
        if self.recorded is None or self.ran.result.interrupted:
            return None
        return self.ran.result.trace_sha256 == self.recorded.trace_sha256


def script(archive: Archive, folder: Path, place: str, system: Path, live: bool) -> str:
    """gdb's command file for a system; see `Script`."""
    return Script.of(archive.manifest, folder, place, sources(system), live).text()


def debug(
    plan: Plan, system: Path, options: Options, say: Say, console: Callable[[str], object]
) -> Session:
    """Runs the plan under gdb. `say` is told what is being done, `console` each line of a guest.

    KhsError if there is no gdb, or the board cannot be run.
    """
    arch = Arch[plan.archive.manifest["arch"].upper()]
    path = "" if options.serve else find_gdb(arch)
    with tempfile.TemporaryDirectory(prefix="khs-debug-") as name:
        folder = Path(name)
        recorded = None
        if not options.live:
            say(f"recording {plan.frames} frames")
            recorded = _record(plan, folder / "recording")
        if recorded is not None and recorded.interrupted:
            raise KeyboardInterrupt
        with _listener(folder, options.port) as listener:
            commands = folder / "commands"
            _prepare(plan, folder)
            files = for_gdb(options.files, folder)
            text = script(plan.archive, folder, listener.place, system, options.live)
            commands.write_text(text, encoding="utf-8")
            gdb = None if options.serve else Gdb(path, commands, files, options.output)
            if gdb is None:
                say(f"gdb is awaited at {listener.place}; end with Ctrl-C. Connect with")
                say(f"  gdb-multiarch -x {commands}")
            clock = ICOUNT if options.live else replaying(folder / "recording")
            attend = gdb.attend if gdb else somebody_else
            control = Debugging(listener, clock, attend, stays=gdb is not None)
            ran = runs.run(replace(plan, control=control), None, console)
            return Session(ran, recorded, gdb.status if gdb else None)


def _record(plan: Plan, file: Path) -> Result:
    quiet = replace(plan, trace=None, control=Recording(file))
    with runs.open_machine(quiet) as machine:
        return machine.run(plan.frames)


@contextmanager
def _listener(folder: Path, port: int | None) -> Iterator[Listener]:
    listener = Listener(folder / "gdb" if port is None else port)
    try:
        yield listener
    finally:
        listener.close()


def _prepare(plan: Plan, folder: Path) -> None:
    """The programs and names that gdb's commands speak of."""
    archive = plan.archive
    firmware = build_firmware(Arch[archive.manifest["arch"].upper()])
    (folder / FIRMWARE).write_bytes(firmware)
    for name, elf in archive.elfs.items():
        (folder / f"{name}.elf").write_bytes(elf)
    (folder / NAMES).write_text(json.dumps(plan.header), encoding="utf-8")


def check_files(files: Sequence[Path], serve: bool) -> None:
    """KhsError for a command file that cannot be read (a pipe can), or that nobody reads."""
    if files and serve:
        raise KhsError("-x is for a gdb that khs starts\n  help: give it to the gdb that connects")
    for path in files:
        if path.is_dir():
            raise KhsError(f"{path}: this is a folder, and a file of gdb commands is wanted")
        if not path.exists():
            raise KhsError(f"{path}: there is no such file of gdb commands")
        if not os.access(path, os.R_OK):
            raise KhsError(f"{path}: this file of gdb commands cannot be read")


def for_gdb(files: Sequence[Path], folder: Path) -> list[Path]:
    """Command files as gdb may open them: what a pipe has is put into the folder."""
    found = []
    for number, path in enumerate(files):
        if not path.is_file():
            data, path = path.read_bytes(), folder / f"commands-{number}"
            path.write_bytes(data)
        found.append(path)
    return found
