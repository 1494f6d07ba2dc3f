"""Runs an archive on an emulated board: the same interface as the machine on Unicorn."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from khs.engine.native import Host, LoadError
from khs.engine.qemu import cards, isolation
from khs.engine.qemu.board import COUNTED, Board
from khs.engine.qemu.boot import boot_image
from khs.engine.qemu.channel import Kind, Report, packets, report
from khs.engine.qemu.control import Control
from khs.engine.qemu.isolation import segments
from khs.engine.qemu.memory import LOG_HEAD, Log, Memory
from khs.engine.qemu.paused import Inspect, Paused
from khs.engine.qemu.process import Process, status_words
from khs.engine.result import Result, Tally
from khs.engine.unicorn import Image, Progress, Sink, Taker, take_for
from khs.errors import EngineError

#: Exit codes of the firmware: enum channel_exit.
DONE, REFUSED = 32, 33
#: What it says of an accelerator whose timer comes when it should not.
_CLOCK = "timer does not suit its clock"
#: Bytes of the board's log.
LOG = 8 << 20
#: Bytes of the console that are kept.
CONSOLE = 64 << 10


#: Reads what the board writes on a serial port, and writes what it is to read.
SerialLine = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class _Run:
    """A run, and what is known of it so far."""

    frames: int
    take: Taker
    progress: Progress | None
    inspect: Inspect | None
    tally: Tally
    report: Report = field(default_factory=lambda: Report(0, 0, ()))
    ended: bool = False
    interrupted: bool = False
    console: bytearray = field(default_factory=bytearray)


class Machine:
    """A system for an emulated board. Each `run` boots it anew, from tick 0.

    `firmware`: the ELF of the board's firmware. `patience`: seconds of silence after which the
    board counts as dead. `accel`: QEMU's accelerator; only "tcg" counts instructions, so that a run
    is the same each time. `serial`: who is at the other ends of the board's serial ports, by the
    names of its file (boards/*.toml); whatever they do ends with the board. `can`: names of buses
    by PARTITION.DEVICE, of controllers that are not each on a bus of its own. `control`: who lets
    the board run.
    """

    engine = "qemu"

    def __init__(
        self,
        archive: Image,
        firmware: bytes,
        *,
        seed: int = 0,
        policy_at: Mapping[int, bytes] | None = None,
        patience: float = 60.0,
        accel: str = COUNTED,
        serial: Mapping[str, SerialLine] | None = None,
        can: Mapping[str, str] | None = None,
        control: Control | None = None,
    ) -> None:
        """Raises EngineError if there is no QEMU, or the archive cannot be run."""
        manifest = archive.manifest
        self._archive = archive
        self._system = str(manifest["system"])
        self._names = [str(name) for name in manifest["names"]["partitions"]]
        self.board = Board.of(manifest)
        self.seed = seed
        self._devices = list(manifest.get("devices", ()))
        self._cards = cards.arguments(manifest, can or {})
        self._control = control or Control()
        self.board.check_accelerator(accel)
        self._patience = None if self._control.pauses else patience
        self._accel = accel
        self._serial = dict(serial or {})
        self._attach = self.board.attach(list(self._serial))
        self._swaps = sorted((policy_at or {}).items())
        self._qemu = self.board.find_qemu()
        self._firmware = firmware
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        #: Of the run: what the board wrote on its console, at the end; and its last report.
        self.console = b""
        self.report = Report(0, 0, ())
        try:  # knows the system, and splits its event stream
            self._host = Host(archive.config, archive.memory, self._policies)
        except LoadError as error:
            raise EngineError(f"{self._system} is refused: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees what is left; nothing of QEMU is."""
        self._host.close()

    def stop(self) -> None:
        """Ends `run` soon, with results so far; from any thread."""
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    @property
    def inputs(self) -> list[tuple[int, int, bytes]]:
        """What comes from outside, in the order of its ticks."""
        return sorted(self._archive.inputs, key=lambda row: row[0])

    # ------------------------------------------------------------ the boot image

    @property
    def _policies(self) -> list[bytes]:
        return [*self._archive.policies, *(policy for _, policy in self._swaps)]

    @property
    def _is_counted(self) -> bool:
        return self._accel == COUNTED

    def boot_image(self, frames: int) -> bytes:
        """What the board finds in its memory for a run of `frames` major frames."""
        return boot_image(
            config=self._archive.config,
            memory=self._archive.memory,
            policies=self._policies,
            inputs=self.inputs,
            swaps={
                frame: number
                for number, (frame, _) in enumerate(self._swaps, len(self._archive.policies))
            },
            ram_size=self.board.ram_size,
            frames=frames,
            clock_hz=self.board.profile.hz if self._is_counted else 0,
            timer_hz=self.board.profile.hz,
            emulated=True,
            counted=self._is_counted,
            log_size=LOG,
            devices=self._devices,
        )

    # ------------------------------------------------------------ running

    def run(
        self,
        frames: int,
        *,
        sink: Sink | None = None,
        notable: Sink | None = None,
        progress: Progress | None = None,
        inspect: Inspect | None = None,
    ) -> Result:
        """Boots the board and runs `frames` major frames, less if the module stops or on Ctrl-C.

        `inspect` may look at the paused board now and then. Raises EngineError if the board does
        not boot, dies, falls silent, or writes nonsense; at the end, if a partition's page tables
        grant what config.bin does not.
        """
        began = time.perf_counter()
        run = _Run(frames, take_for(sink, notable), progress, inspect, Tally(self._names))
        profile = self.board.profile
        with (
            tempfile.TemporaryDirectory(prefix="khs-board-") as folder,
            Memory(profile.ram, self.board.ram_size) as memory,
        ):
            files = [Path(folder) / name for name in ("firmware.elf", "boot.image")]
            image = self.boot_image(frames)
            files[0].write_bytes(self._firmware)
            files[1].write_bytes(image)
            log = Log(memory, profile.image + len(image), LOG)
            process = self._process(files, memory)
            asyncio.run(self._supervise(process, log, run))
            if run.ended:
                self._check_isolation(memory, len(image))
        self.console, self.report = bytes(run.console), run.report
        views = list(run.report.views) or [self._host.view(n) for n in range(len(self._names))]
        return Result(
            system=self._system,
            board=self.board.name,
            engine=self.engine,
            seed=self.seed,
            frames=run.report.frames,
            ticks=run.report.tick,
            reproducible=self._is_counted,
            interrupted=run.interrupted,
            stopped=run.tally.stopped,
            trace_sha256=run.tally.trace_sha256,
            verdicts=run.tally.verdicts,
            partitions=run.tally.partitions(views),
            wall_s=time.perf_counter() - began,
        )

    def _process(self, files: Sequence[Path], memory: Memory) -> Process:
        control = self._control
        clock = control.clock if self._is_counted else ("-accel", self._accel)
        command = self.board.command(
            self._qemu, files[0], files[1], memory.path, clock, self._cards
        )
        return Process(
            [*command, *control.arguments],
            lines=2 + len(self._serial),
            inherited=[memory.descriptor, *control.inherited],
            attach=self._attach,
            aside=control.pauses,
        )

    async def _supervise(self, process: Process, log: Log, run: _Run) -> None:
        """Ctrl-C cancels the inner task; what came until then counts."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._board(process, log, run))
        try:
            await self._task
        except asyncio.CancelledError:
            run.interrupted = True
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        finally:
            self._loop = self._task = None

    async def _board(self, process: Process, log: Log, run: _Run) -> None:
        async with process:
            _, console, *ports = process.serial
            listening = asyncio.create_task(_keep(console, run.console))
            lines = zip(self._serial.values(), ports, process.writers[2:], strict=True)
            serving = [asyncio.create_task(line(out, into)) for line, out, into in lines]
            async with self._control.over(process):
                await self._follow(process, log, run)
                status = await process.wait()
                await asyncio.gather(listening, *serving)
            switched_off = self._control.pauses and status == 0
            if switched_off and not run.ended:
                run.interrupted = True
            elif not (switched_off or (run.ended and status == self._done)):
                raise await self._death(process, status, run)

    @property
    def _done(self) -> int:
        return self.board.profile.exit_status(DONE)

    async def _follow(self, process: Process, log: Log, run: _Run) -> None:
        """Until the board is gone."""
        async for kind, data in packets(process.serial[0], log, self._patience):
            if kind is Kind.EVENTS:
                drained = self._host.split(data)
                run.tally.add(drained)
                run.take(drained)
                continue
            run.report = self.report = report(data, len(self._names))
            run.ended = kind is Kind.END
            if run.progress is not None:
                run.progress(run.report.frames, run.frames)
            if run.inspect is not None and not run.ended:
                await self._look(process, log.memory, run.inspect)

    async def _look(self, process: Process, memory: Memory, inspect: Inspect) -> None:
        """Not at a board that went on to its end meanwhile."""
        try:
            await process.execute("stop")
        except EngineError:
            if not process.is_over:
                raise
            return
        await inspect(Paused(memory, process))
        await process.resume()

    def _check_isolation(self, memory: Memory, image: int) -> None:
        """`image`: bytes of the boot image."""
        begin = self.board.profile.image
        kernel = [(begin, image + LOG_HEAD + LOG), *segments(self._firmware)]
        try:
            tables = isolation.roots(memory, begin + image, len(self._names))
            config, arch = self._archive.config, self.board.arch
            found = list(
                isolation.violations(
                    memory, arch, config, tables, self._names, kernel, self._devices
                )
            )
        except IndexError as error:
            raise EngineError(f"the board's page tables are nowhere: {error}") from error
        if found:
            more = f" ({len(found)} such)" if len(found) > 1 else ""
            raise EngineError(f"the board does not isolate its partitions: {found[0]}{more}")

    async def _death(self, process: Process, status: int, run: _Run) -> EngineError:
        if status == self.board.profile.exit_status(REFUSED):
            return EngineError(f"the board does not run {self._system}: {self._refusal(run)}")
        if process.watchdog_expired:
            return EngineError(
                f"a watchdog expired in frame {run.report.frames} and has reset the board\n"
                "  help: a partition that owns one serves it; --engine unicorn tells the owner's "
                "health monitor instead"
            )
        when = f"after frame {run.report.frames}, before the system did"
        return await process.failure(f"ended {when} ({status_words(status)})")

    def _refusal(self, run: _Run) -> str:
        """The firmware's last words, and what to do about them."""
        lines = run.console.decode(errors="replace").strip().splitlines() or [""]
        words = lines[-1].removeprefix("khs: ")
        if self._is_counted or _CLOCK not in words:
            return words
        return (
            f"{words}\n  help: leave --accel out; where this machine is itself a guest "
            f"(nested virtualization) {self._accel} may be no use"
        )


async def _keep(stream: asyncio.StreamReader, into: bytearray) -> None:
    """The end of what comes; a board that floods its console fills nothing."""
    while data := await stream.read(CONSOLE):
        into += data
        del into[:-CONSOLE]
