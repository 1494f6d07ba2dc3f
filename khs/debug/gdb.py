"""The gdb of this machine: found, checked, started, and gone at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from khs.config.model import Arch
from khs.errors import KhsError

#: As gdb calls the architectures.
_ARCHITECTURES = {Arch.ARMV7: "arm", Arch.X64: "i386:x86-64", Arch.X86: "i386"}
#: Seconds that gdb gets to end when asked to.
_GOODBYE = 2.0


class NoGdbError(KhsError):
    """There is no gdb that would do."""


def find_gdb(*archs: Arch) -> str:
    """A gdb that knows these architectures: the one that KHS_GDB names, or the first of this
    machine's; NoGdbError with the command that installs one."""
    names = [_ARCHITECTURES[arch] for arch in archs]
    chosen = os.environ.get("KHS_GDB")
    programs = (chosen,) if chosen else ("gdb-multiarch", "gdb")
    found = [path for each in programs if (path := shutil.which(each))]
    for path in found:
        commands = [part for name in names for part in ("-ex", f"set architecture {name}")]
        command = [path, "-nx", "-batch", *commands]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and "Undefined item" not in done.stderr:
            return path
    none = f"KHS_GDB={chosen}: there is no such program" if chosen else "gdb is not installed"
    what = f"{found[0]} does not know {', '.join(names)}" if found else none
    raise NoGdbError(
        f"{what}\n  help: apt-get install gdb-multiarch, or --gdb-only for one elsewhere, "
        "or --tui to debug in a terminal without"
    )


@dataclass
class Gdb:
    """One gdb on `script`. `files`: command files to run instead of a prompt; their output goes to
    `output`, None for this process's own. `status` is gdb's exit status, once there is one."""

    path: str
    script: Path
    files: Sequence[Path] = ()
    output: IO[bytes] | None = None
    status: int | None = None

    @property
    def command(self) -> list[str]:
        files = [part for file in self.files for part in ("-x", str(file))]
        batch = ["-nx", "-batch"] if files else []
        return [self.path, "-q", *batch, "-x", str(self.script), *files]

    async def attend(self) -> None:
        """Until gdb ends. Ctrl-C is gdb's alone; SIGTERM and SIGHUP end gdb."""
        loop = asyncio.get_running_loop()
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=subprocess.DEVNULL if self.files else None,
            stdout=self.output,
            stderr=self.output,
            env={**os.environ, "DEBUGINFOD_URLS": ""},  # it would ask whether to use them
        )
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, process.terminate)
        try:
            self.status = await process.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
            if process.returncode is None:
                await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GOODBYE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def somebody_else() -> None:
    """In the place of `Gdb.attend`: until Ctrl-C, SIGTERM or SIGHUP, or the board is gone."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, asked.set)
    try:
        await asked.wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
