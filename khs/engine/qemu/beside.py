"""Systems with partitions that are whole machines, `kind = "board"`: the native ones on Unicorn,
and each machine in a QEMU of its own that runs in its windows alone.

A machine's request becomes an outside input of its proxy, stamped with its tick: from there on it
is the kernel's business alone, and the same inputs give the same run without any machine.
"""

from __future__ import annotations

import asyncio
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from khs.engine import unicorn
from khs.engine.inputs import Inputs, Stamped
from khs.engine.native import NEVER, End
from khs.engine.qemu.peer import HEADER, LARGEST, About, Peer
from khs.engine.result import Result
from khs.engine.unicorn import Progress, Sink, Taker, take_for
from khs.errors import EngineError
from khs.trace.kinds import Mode

#: Ticks between two looks whether a proxy has answered.
_LOOK = 5_000
_COUNT = struct.Struct("<I4x")
_INFO = 16
#: Linux' driver of the SABRE Lite's serial lines waits for ever for DMA that QEMU does not have.
_DMA = (b"\0dmas\0", b"\0dmaX\0")


@dataclass
class _Proxy:
    """What the kernel's side knows of a machine: a request that waits, and answers seen."""

    peer: Peer
    held: bytes | None = None
    waiting: bool = False
    seen: tuple[int, int] = (0, 0)


@dataclass
class Machine:
    """The same interface as the machine on Unicorn; one run. `inputs`: every one that came so far,
    those of the archive included. `console` gets each line of machines, with the partition."""

    archive: Any
    seed: int = 0
    policy_at: Mapping[int, bytes] | None = None
    console: Callable[[str], object] = lambda line: None
    inputs: list[Stamped] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)

    def __post_init__(self) -> None:
        native = Inputs(self.archive, [])
        self._native = unicorn.Machine(native, seed=self.seed, policy_at=self.policy_at)
        self._declared = sorted(self.archive.inputs, key=lambda row: row[0])
        self._clock = int(self.archive.manifest["clock_hz"])
        self._take: Taker = lambda drained: None
        self._stopping = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._native.close()

    def stop(self) -> None:
        """Ends `run` soon; from any thread."""
        self._stopping = True
        self._native.stop()

    # ------------------------------------------------------------ running

    def run(
        self,
        frames: int,
        *,
        sink: Sink | None = None,
        notable: Sink | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Raises EngineError if the system does not boot, or a QEMU refuses its image or dies."""
        self._take = take_for(sink, notable)
        began = time.perf_counter()
        interrupted = False
        try:
            asyncio.run(self._machines(frames, progress))
        except (asyncio.CancelledError, KeyboardInterrupt):
            interrupted = True
        return self._native.result(
            interrupted=interrupted or self._stopping,
            reproducible=False,
            wall_s=time.perf_counter() - began,
        )

    async def _machines(self, frames: int, progress: Progress | None) -> None:
        self._native.boot()
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="khs-machines-")))
            proxies = []
            for name in self.archive.manifest["machines"]:
                about = About.of(name, self.archive.manifest, self._files(name, folder))
                peer = Peer(about, self.console)
                self.peers.append(peer)
                proxies.append(_Proxy(await stack.enter_async_context(peer)))
            while (done := self._native.host.status().frames) < frames:
                if not await self._frame(proxies):
                    return
                if progress is not None:
                    progress(done + 1, frames)

    def _files(self, name: str, folder: Path) -> dict[str, Path]:
        """The machine's files, out of the archive."""
        files = {}
        for key in self.archive.manifest["machines"][name]["files"]:
            data = self.archive.members[f"machine/{name}/{key}"]
            files[key] = folder / f"{name}-{key}"
            files[key].write_bytes(data.replace(*_DMA) if key == "dtb" else data)
        return files

    async def _frame(self, proxies: list[_Proxy]) -> bool:
        """One major frame; False if the run is over."""
        status = self._native.host.status()
        windows = [
            (start, length, proxy)
            for proxy in proxies
            for start, length in proxy.peer.about.windows[status.schedule]
        ]
        for start, length, proxy in sorted(windows, key=lambda row: row[0]):
            begin = status.tick + start
            if not self._to(begin):
                return False
            if not await self._window(proxy, begin, begin + length):
                return False
        return self._advance(status.frames + 1, NEVER)

    def _to(self, tick: int) -> bool:
        return self._advance(NEVER, tick)

    def _advance(self, frames: int, until: int) -> bool:
        """The native side; declared inputs are added as they come, between those of machines."""
        while self._declared and self._declared[0][0] <= until:
            tick = self._declared[0][0]
            if tick > self._native.host.status().tick + 1:
                end = self._native.advance(self._take, frames, tick - 1)
                if end is not End.REACHED or self._native.host.status().frames >= frames:
                    return end is End.REACHED
            self._input(self._declared.pop(0))
        return self._native.advance(self._take, frames, until) is End.REACHED

    def _input(self, row: Stamped) -> None:
        if not self._native.host.add_input(*row):
            raise EngineError(f"the input at tick {row[0]} does not fit the system")
        self.inputs.append(row)

    # ------------------------------------------------------------ a machine's window

    async def _window(self, proxy: _Proxy, now: int, end: int) -> bool:
        """Runs the machine from `now` to `end`, but for the time that its requests take."""
        peer = proxy.peer
        view = self._native.host.view(peer.about.partition)
        if proxy.seen[0] != view.restarts:
            proxy.seen, proxy.waiting, proxy.held = (view.restarts, 0), False, None
            await peer.restart()
        if peer.ended or view.mode == Mode.IDLE or view.halted:
            return True
        peer.windows += 1
        while now + 1 < end:
            if proxy.waiting:
                now = self._settle(proxy, now, end)
                if now < 0:
                    return False
                continue
            request, seconds = proxy.held, 0.0
            if request is None:
                request, seconds = await peer.run((end - now) / self._clock)
            proxy.held = None
            now = min(now + round(seconds * self._clock), end)
            if not self._to(now):
                return False
            if peer.ended or request is None:
                return True
            if now + 1 >= end:
                proxy.held = request
                return True
            self._input((now + 1, peer.about.input, request))
            proxy.waiting = True
        return True

    def _settle(self, proxy: _Proxy, now: int, end: int) -> int:
        """Runs the proxy until it has answered, or to the window's end: the tick, -1 if the run is
        over."""
        while now < end:
            now = min(now + _LOOK, end)
            if not self._to(now):
                return -1
            answer = self._answer(proxy)
            if answer is not None:
                proxy.waiting = False
                proxy.peer.answer(answer)
                break
        return now

    def _answer(self, proxy: _Proxy) -> bytes | None:
        """A new answer in the proxy's mailbox."""
        about, host = proxy.peer.about, self._native.host
        size = _COUNT.size + HEADER.size
        head = host.read(about.partition, about.mailbox, size)
        seen = (host.view(about.partition).restarts, *_COUNT.unpack_from(head))
        if len(head) < size or seen == proxy.seen:
            return None
        proxy.seen = seen
        data = min(HEADER.unpack_from(head, _COUNT.size)[5], LARGEST + _INFO)
        return head[_COUNT.size :] + host.read(about.partition, about.mailbox + size, data)
