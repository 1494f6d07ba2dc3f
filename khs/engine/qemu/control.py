"""Who lets a board run: nobody but itself, or a debugger that stops it where it likes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from khs.engine.qemu.board import ICOUNT, recording
from khs.engine.qemu.process import Process
from khs.errors import EngineError


class Control:
    """Lets the board run to its end. `clock`: QEMU's arguments for it; `arguments` and `inherited`:
    further ones and their descriptors; `pauses`: the board may stand still, or be switched off."""

    clock: Sequence[str] = ICOUNT
    arguments: Sequence[str] = ()
    inherited: Sequence[int] = ()
    pauses = False

    @asynccontextmanager
    async def over(self, process: Process) -> AsyncIterator[None]:
        """While the board runs."""
        await process.resume()
        yield


class Recording(Control):
    """The same; leaves in `file` what it takes to run again like this under a debugger."""

    def __init__(self, file: Path) -> None:
        self.clock = recording(file)


class Listener:
    """A socket for QEMU to serve a debugger on: in the file system if `at` is a path, else at this
    port of 127.0.0.1, 0 for any. `place` is what gdb connects to. EngineError if it cannot be."""

    def __init__(self, at: Path | int) -> None:
        family = socket.AF_INET if isinstance(at, int) else socket.AF_UNIX
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            if isinstance(at, int):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", at) if isinstance(at, int) else str(at))
            self._socket.listen(1)
        except (OSError, OverflowError) as error:
            self._socket.close()
            why = getattr(error, "strerror", None) or error
            raise EngineError(
                f"gdb cannot be served at {at}: {why}\n  help: another port, or 0 for any"
            ) from error
        name = self._socket.getsockname()
        self.place = f"{name[0]}:{name[1]}" if isinstance(at, int) else str(name)

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


class Debugging(Control):
    """The board waits for a debugger at `listener`. `attend` is what to wait for then: the board is
    switched off once it returns. `stays`: it is waited for even if the board is gone."""

    pauses = True

    def __init__(
        self,
        listener: Listener,
        clock: Sequence[str],
        attend: Callable[[], Awaitable[None]],
        stays: bool,
    ) -> None:
        self.clock = clock
        self._stays = stays
        self.inherited = (listener.descriptor,)
        self.arguments = (
            *("-chardev", f"socket,id=gdb,fd={listener.descriptor},server=on,wait=off"),
            *("-gdb", "chardev:gdb"),
        )
        self._attend = attend

    @asynccontextmanager
    async def over(self, process: Process) -> AsyncIterator[None]:
        attending = asyncio.create_task(self._attended(process))
        try:
            yield
            if self._stays or attending.done():
                await attending
        finally:
            attending.cancel()
            with suppress(asyncio.CancelledError):
                await attending

    async def _attended(self, process: Process) -> None:
        try:
            await self._attend()
        finally:
            with suppress(EngineError):  # gone by itself
                await process.execute("quit")
