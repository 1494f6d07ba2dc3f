"""One machine beside the native partitions: its QEMU, stopped but for its windows, and what it
says on its channel (partitions/board-proxy/channel.h).

Nothing here trusts the machine: what is no packet is skipped and counted, one that claims too much
is none, and a line that nobody reads makes it wait.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from khs.config.model import Arch
from khs.engine.qemu.board import Board
from khs.engine.qemu.guest import Guest
from khs.engine.qemu.process import Process
from khs.errors import EngineError
from khs.trace.console import LONGEST
from khs.trace.text import printable

HEADER = struct.Struct("<IHHIII")
REQUEST = b"KHS1"
#: Bytes of data in a packet.
LARGEST = 4096
_CHUNK = 4096


@dataclass
class Requests:
    """Packets out of a stream of bytes."""

    skipped: int = 0
    _waiting: bytes = b""

    def feed(self, data: bytes) -> None:
        self._waiting += data

    def take(self) -> bytes | None:
        """The next whole packet."""
        while True:
            at = self._waiting.find(REQUEST)
            if at < 0:
                keep = len(REQUEST) - 1
                self._skip(max(len(self._waiting) - keep, 0))
                return None
            self._skip(at)
            if len(self._waiting) < HEADER.size:
                return None
            size = HEADER.unpack_from(self._waiting)[5]
            if size > LARGEST:
                self._skip(len(REQUEST))
                continue
            whole = HEADER.size + size
            if len(self._waiting) < whole:
                return None
            packet, self._waiting = self._waiting[:whole], self._waiting[whole:]
            return packet

    def _skip(self, count: int) -> None:
        self.skipped += count
        self._waiting = self._waiting[count:]


@dataclass(frozen=True)
class About:
    """A machine as the archive's manifest describes it, and how its proxy is reached."""

    name: str
    partition: int
    guest: Guest
    input: int
    mailbox: int
    windows: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, name: str, manifest: Mapping[str, Any], files: Mapping[str, Path]) -> About:
        """EngineError if the manifest is not whole."""
        try:
            about = manifest["machines"][name]
            hardware = about["hardware"]
            board = Board(
                str(about["board"]),
                Arch[str(about["arch"]).upper()],
                str(hardware["machine"]),
                str(hardware["cpu"]),
                int(hardware["memory"]),
            )
            guest = Guest(
                board,
                kernel=files.get("kernel"),
                initrd=files.get("initrd"),
                dtb=files.get("dtb"),
                bios=files.get("bios"),
                append=about["append"],
                accel="tcg",
            )
            windows = tuple(
                tuple((int(start), int(length)) for start, length in schedule)
                for schedule in about["windows"]
            )
            number = manifest["names"]["partitions"].index(name)
            return cls(name, number, guest, int(about["input"]), int(about["mailbox"]), windows)
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"the archive does not say how the machine of {name} is emulated\n"
                "  help: build it again with khs build"
            ) from error


@dataclass
class Peer:
    """A running machine. Use as an asynchronous context manager."""

    about: About
    console: Callable[[str], object]
    requests: Requests = field(default_factory=Requests)
    windows: int = 0
    asked: int = 0
    ran_s: float = 0.0
    slips: list[float] = field(default_factory=list)
    ended: str = ""

    async def __aenter__(self) -> Peer:
        guest = self.about.guest
        guest.check()
        self._process = Process(guest.command(guest.board.find_qemu()), lines=2)
        await self._process.__aenter__()
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *exception: Any) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._process.__aexit__(None, None, None)

    async def restart(self) -> None:
        """From the power button on; also one that went off."""
        await self.__aexit__()
        self.requests, self.ended = Requests(self.requests.skipped), ""
        await self.__aenter__()

    async def _listen(self) -> None:
        stream = self._process.serial[self.about.guest.console]
        begun = b""
        while data := await stream.read(_CHUNK):
            *lines, begun = (begun + data).split(b"\n")
            if len(begun) > LONGEST:
                lines, begun = [*lines, begun], b""
            for line in lines:
                text = printable(line.rstrip(b"\r"))
                self.console(f"{self.about.name}: {text}")

    def answer(self, packet: bytes) -> None:
        """For the machine, when it runs again."""
        self._process.send(self.about.guest.channel, packet)

    async def run(self, seconds: float) -> tuple[bytes | None, float]:
        """Lets the machine run for so long, or up to its next request: the request, and for how
        long it ran. EngineError if QEMU died."""
        known = self.requests.take()
        if known is not None:
            return known, 0.0
        try:
            await self._process.execute("cont")
            began = time.perf_counter()
            request = None
            with suppress(TimeoutError):
                request = await asyncio.wait_for(self._request(), seconds)
            await self._process.execute("stop")
        except EngineError:
            await self._over()
            return None, seconds
        ran = time.perf_counter() - began
        self.ran_s += ran
        if request is None:
            self.slips.append(ran - seconds)
        return request, ran

    async def _request(self) -> bytes:
        stream = self._process.serial[self.about.guest.channel]
        while True:
            packet = self.requests.take()
            if packet is not None:
                self.asked += 1
                return packet
            data = await stream.read(_CHUNK)
            if not data:
                raise EngineError("its channel is closed")
            self.requests.feed(data)

    async def _over(self) -> None:
        """A machine may go off, but QEMU may not die."""
        status = await self._process.wait()
        self.ended = self._process.shutdown_reason
        if status or not self.ended:
            what = f"died in the machine of {self.about.name} (exit status {status})"
            raise await self._process.failure(what)

    def to_json(self) -> dict[str, Any]:
        """Times in seconds. `slip`: by how much windows were exceeded."""
        slips = self.slips or [0.0]
        return {
            "board": self.about.guest.board.name,
            "windows": self.windows,
            "ran_s": self.ran_s,
            "slip_median_s": median(slips),
            "slip_max_s": max(slips),
            "requests": self.asked,
            "skipped_bytes": self.requests.skipped,
            "ended": self.ended or None,
        }
