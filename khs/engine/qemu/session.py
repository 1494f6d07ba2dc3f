"""Boots other people's images: their console, their timing, and an end that is always clean."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from khs.engine.qemu.guest import Guest
from khs.engine.qemu.process import Process, status_words
from khs.errors import EngineError

#: Seconds between two questions whether QEMU is still there.
_PULSE = 5.0
#: Of the terminal and of consoles, at once.
_CHUNK = 1 << 16

Output = Callable[[bytes], object]
#: The console says the one, the other is typed.
Answer = tuple[bytes, bytes]


Ending = Literal["text", "time", "guest", "interrupted"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a boot. `ended`: what ended it; "guest" with QEMU's `reason`. Times are seconds
    of the host from QEMU's start. `console_sha256`: of all that came on the console to the end;
    the same each time if `reproducible`."""

    board: str
    ended: Ending
    reason: str
    reproducible: bool
    console_bytes: int
    console_sha256: str
    first_byte_s: float | None
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Console:
    """Passes a console on, answers it, and finds the text that ends the run in it."""

    out: Output
    send: Callable[[bytes], None] = lambda data: None
    answers: list[Answer] = field(default_factory=list)
    until: bytes | None = None
    began: float = field(default_factory=time.perf_counter)
    first: float | None = None
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    _rest: bytes = b""

    async def follow(self, stream: asyncio.StreamReader) -> bool:
        """Up to the text (True), or up to the console's end."""
        while data := await stream.read(_CHUNK):
            if self.first is None:
                self.first = time.perf_counter() - self.began
            end = self._find(data)
            self._pass(data if end is None else data[:end])
            if end is not None:
                return True
        return False

    def _pass(self, data: bytes) -> None:
        self.size += len(data)
        self.digest.update(data)
        self.out(data)

    def _find(self, data: bytes) -> int | None:
        """Where in `data` the text ends that ends the run. What was looked at is not again."""
        seen = self._rest + data
        while self.answers or self.until:
            wanted, reply = self.answers[0] if self.answers else (self.until or b"", b"")
            at = seen.find(wanted)
            if at < 0:
                self._rest = seen[-len(wanted) + 1 :] if len(wanted) > 1 else b""
                return None
            seen = seen[at + len(wanted) :]
            if not self.answers:
                return len(data) - len(seen)
            self.answers.pop(0)
            self.send(reply)
        self._rest = b""
        return None


@dataclass
class Session:
    """One boot. `answers` are given in their order; then the run ends with the text `until`, after
    `seconds`, or with the guest. `keyboard`: a descriptor whose bytes the guest gets."""

    guest: Guest
    out: Output
    answers: Sequence[Answer] = ()
    until: bytes | None = None
    seconds: float | None = None
    keyboard: int | None = None

    def run(self) -> Outcome:
        """Boots. Raises EngineError if QEMU is missing, refuses the image, dies or hangs."""
        self.guest.check()
        command = self.guest.command(self.guest.board.find_qemu())
        return asyncio.run(self._supervise(command))

    async def _supervise(self, command: list[str]) -> Outcome:
        """Ctrl-C cancels this task."""
        console = Console(self.out, answers=list(self.answers), until=self.until)
        ended: Ending = "interrupted"
        reason = ""
        with suppress(asyncio.CancelledError), TemporaryDirectory(prefix="khs-boot-") as folder:
            ended, reason = await self._boot(command, Path(folder), console)
        return Outcome(
            board=self.guest.board.name,
            ended=ended,
            reason=reason,
            reproducible=self._alone and ended in ("text", "guest"),
            console_bytes=console.size,
            console_sha256=console.digest.hexdigest(),
            first_byte_s=console.first,
            wall_s=time.perf_counter() - console.began,
        )

    @property
    def _alone(self) -> bool:
        return self.guest.reproducible and not self.answers and self.keyboard is None

    async def _boot(self, command: list[str], folder: Path, console: Console) -> tuple[Ending, str]:
        async with Process(command, lines=2, folder=folder) as process:
            line = self.guest.console
            console.send = lambda data: process.send(line, data)
            talking = asyncio.create_task(console.follow(process.serial[line]))
            others = [
                asyncio.create_task(_discard(process.serial[self.guest.channel])),
                asyncio.create_task(_watch(process)),
            ]
            self._listen(console.send)
            try:
                await process.resume()
                async with asyncio.timeout(self.seconds):
                    return await self._ending(process, talking, others[1])
            except TimeoutError:
                return "time", ""
            finally:
                if self.keyboard is not None:
                    asyncio.get_running_loop().remove_reader(self.keyboard)
                for task in (talking, *others):
                    task.cancel()
                    with suppress(asyncio.CancelledError, EngineError):
                        await task

    async def _ending(
        self, process: Process, talking: asyncio.Task[bool], watching: asyncio.Task[None]
    ) -> tuple[Ending, str]:
        await asyncio.wait({talking, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()  # raises if QEMU hangs
        if await talking:
            return "text", ""
        status, reason = await process.wait(), process.shutdown_reason
        if status or not reason:
            raise await process.failure(f"died with the guest in it ({status_words(status)})")
        return "guest", reason

    def _listen(self, send: Callable[[bytes], None]) -> None:
        if self.keyboard is None:
            return
        keyboard, loop = self.keyboard, asyncio.get_running_loop()

        def typed() -> None:
            data = os.read(keyboard, _CHUNK)
            if not data:
                loop.remove_reader(keyboard)
            send(data)

        loop.add_reader(keyboard, typed)


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(_CHUNK):
        pass


async def _watch(process: Process) -> None:
    """Until QEMU has ended. Raises EngineError if it is there and does not answer."""
    while True:
        await asyncio.sleep(_PULSE)
        try:
            await process.execute("query-status")
        except EngineError as silence:
            try:
                await process.wait()
            except EngineError:
                raise silence from None
            return
