"""One QEMU process: started paused, controlled over QMP, ended whatever happens.

Every channel is a socket pair of which QEMU inherits one end: no port, no path, no race. Serial
lines of guests that shall not notice who reads them are named pipes in a folder of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from khs.engine.qemu.pipe import Pipe
from khs.errors import EngineError

#: Seconds that QEMU gets to answer, and to end when asked to.
ANSWER = 20.0
GOODBYE = 5.0
#: Bytes of QEMU's own words that are kept for messages; what it warns of on every SABRE Lite, whose
#: network leads nowhere.
WORDS = 4096
_USUAL = "warning: nic imx.enet.0 has no peer"
#: What to do about a start that QEMU refuses, by a word of what it says.
_HELP = {
    "-accel": "leave --accel out: the default, tcg, runs everywhere",
    "kvm": "leave --accel out: KVM is for PCs, and this machine or this user must have /dev/kvm",
    "BIOS": "a PC's firmware is a ROM whose size is a multiple of 64 KiB",
    "kernel": "a kernel is Linux for this board or an ELF file, on PCs a multiboot image, too",
}
#: The same of a board that is gone; QEMU's replay is at fault now and then.
_DEATH_HELP = {
    "replay log": "try again; --live debugs without a recording, and then stops in programs count",
}

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child: whatever ends this process, a kill for instance, ends QEMU (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def status_words(status: int) -> str:
    """How a process ended."""
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def _help_for(words: str, table: Mapping[str, str]) -> str:
    return next((f"\n  help: {text}" for word, text in table.items() if word in words), "")


class Process:
    """Use as an asynchronous context manager. `lines` serial lines, in the board's
    order. `inherited` are further descriptors for QEMU. With a `folder`, which has to be
    empty, lines are pipes there. `attach`: QEMU's arguments that connect the lines, character
    devices line0, line1 and so on; None: serial ports in this order. `aside`: Ctrl-C at the
    terminal is not QEMU's."""

    def __init__(
        self,
        command: Sequence[str],
        lines: int,
        inherited: Sequence[int] = (),
        folder: Path | None = None,
        attach: Sequence[str] | None = None,
        aside: bool = False,
    ) -> None:
        self._command = list(command)
        self._lines = lines
        self._inherited = list(inherited)
        self._folder = folder
        self._group = 0 if aside else None
        ports = [("-serial", f"chardev:line{number}") for number in range(lines)]
        self._attach = [word for port in ports for word in port] if attach is None else list(attach)
        self._pipes: list[Pipe] = []
        self._ours: list[socket.socket] = []
        self._process: asyncio.subprocess.Process | None = None
        self._qmp: Any = None
        self._words = b""
        self._listening: asyncio.Task[None] | None = None
        #: What comes from each line, and the way in.
        self.serial: list[asyncio.StreamReader] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Process:
        try:
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _start(self) -> None:
        theirs: list[socket.socket] = []
        arguments = [*self._command, "-S"]
        try:
            control = self._channel(theirs)
            arguments += ["-chardev", f"socket,id=qmp,fd={theirs[-1].fileno()}"]
            arguments += ["-mon", "chardev=qmp,mode=control"]
            for number in range(self._lines):
                arguments += await self._line(number, theirs)
            arguments += self._attach
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=_die_with_parent,
                pass_fds=[*self._inherited, *(end.fileno() for end in theirs)],
                process_group=self._group,
            )
        except OSError as error:
            raise EngineError(f"{self._command[0]} cannot be started: {error}") from error
        finally:
            for end in theirs:
                end.close()
        self._listening = asyncio.create_task(self._listen())
        await self._connect(control)
        for pipe in self._pipes:
            pipe.settle()

    async def _line(self, number: int, theirs: list[socket.socket]) -> list[str]:
        """A serial line; QEMU's arguments for it."""
        if self._folder is None:
            line = self._channel(theirs)
            backend = f"socket,id=line{number},fd={theirs[-1].fileno()}"
            reader, writer = await asyncio.open_unix_connection(sock=line)
        else:
            pipe = Pipe(self._folder / f"line{number}")
            self._pipes.append(pipe)
            backend = f"pipe,id=line{number},path={pipe.path}"
            reader, writer = await pipe.open()
        self.serial.append(reader)
        self.writers.append(writer)
        return ["-chardev", backend]

    def _channel(self, theirs: list[socket.socket]) -> socket.socket:
        ours, other = socket.socketpair()
        self._ours.append(ours)
        theirs.append(other)
        return ours

    async def _connect(self, control: socket.socket) -> None:
        from qemu.qmp import QMPClient, QMPError

        self._qmp = QMPClient("khs")
        self._qmp.logger.disabled = True  # what goes wrong is told by us
        try:
            await asyncio.wait_for(self._qmp.connect(control), ANSWER)
        except (QMPError, OSError, EOFError, TimeoutError) as error:
            raise await self._not_started() from error

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(WORDS):
            self._words = (self._words + data)[-WORDS:]

    # ------------------------------------------------------------ control

    async def execute(self, command: str, **arguments: object) -> Any:
        """One QMP command. Raises EngineError if QEMU refuses it or is gone."""
        from qemu.qmp import QMPError

        try:
            return await asyncio.wait_for(self._qmp.execute(command, arguments), ANSWER)
        except (QMPError, OSError, EOFError, TimeoutError) as error:
            raise await self.failure(f"refuses {command}: {error}") from error

    async def resume(self) -> None:
        """Lets the board run. One that ends at once is told by its channels."""
        try:
            await self.execute("cont")
        except EngineError:
            if not self.is_over:
                raise

    @property
    def is_over(self) -> bool:
        """QEMU has ended, or ends."""
        from qemu.qmp import Runstate

        return bool(self._qmp.runstate is not Runstate.RUNNING)

    def send(self, line: int, data: bytes) -> None:
        """Bytes for a serial line; the board takes them when it can."""
        self.writers[line].write(data)

    @property
    def shutdown_reason(self) -> str:
        """Why the board went off, in QEMU's words: "guest-shutdown"; empty if it did not say."""
        told = self._told("SHUTDOWN")
        return str(told[-1]["data"]["reason"]) if told else ""

    @property
    def watchdog_expired(self) -> bool:
        """Whether a watchdog of the board has reset it."""
        return bool(self._told("WATCHDOG"))

    def _told(self, event: str) -> list[Any]:
        return [told for told in self._qmp.events.history if told["event"] == event]

    async def wait(self) -> int:
        """QEMU's exit status, once it ends by itself; EngineError if it does not."""
        assert self._process is not None
        try:
            return await asyncio.wait_for(self._process.wait(), ANSWER)
        except TimeoutError as error:
            raise EngineError("QEMU does not end") from error

    async def failure(self, what: str) -> EngineError:
        """An error with QEMU's own last words."""
        words = await self._last_words()
        said = f"\n  QEMU says: {words}" if words else ""
        return EngineError(f"QEMU {what}{said}{_help_for(words, _DEATH_HELP)}")

    async def _not_started(self) -> EngineError:
        words = await self._last_words()
        assert self._listening is not None
        if not self._listening.done():
            return await self.failure("does not answer")
        if not words:
            words = f"it does not say why ({status_words(await self.wait())})"
        return EngineError(f"QEMU refuses to start: {words}{_help_for(words, _HELP)}")

    async def _last_words(self) -> str:
        if self._listening is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._listening), 1.0)
        lines = self._words.decode(errors="replace").strip().splitlines()
        return "\n".join(line for line in lines if not line.endswith(_USUAL))

    # ------------------------------------------------------------ end

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self._quit()
        if self._qmp is not None:
            with contextlib.suppress(Exception):  # EOFError and others if QEMU went first
                await asyncio.wait_for(self._qmp.disconnect(), GOODBYE)
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        for pipe in self._pipes:
            pipe.settle()
        for writer in self.writers:
            writer.close()
        for end in self._ours:
            end.close()

    async def _quit(self) -> None:
        assert self._process is not None
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._qmp.execute("quit"), 1.0)
        try:
            await asyncio.wait_for(self._process.wait(), 1.0)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
