"""Runs an archive on Unicorn: the kernel and every guest in this process, exact to the tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from khs.engine.device import Device
from khs.engine.devices import Devices
from khs.engine.interrupt import on_interrupt
from khs.engine.isolate import run_isolated
from khs.engine.lines import FAST_RATE, RATE, Exchange, Line, Lines, Party
from khs.engine.native import NEVER, Drained, End, Host, LoadError, Options
from khs.engine.result import Result, Tally
from khs.engine.stepping import Cause, Move, Stepper, goal
from khs.engine.structures import Status, View
from khs.errors import EngineError, KhsError

#: Called with raw event records as they are drained; the view is only good during the call.
Sink = Callable[[memoryview], None]
#: Called with what was drained, each time.
Taker = Callable[[Drained], None]
#: Called now and then with the major frames completed and wanted.
Progress = Callable[[int, int], None]
#: Who is met during the run.
Outside = Callable[[Exchange], Sequence[Party]]


class Image(Protocol):
    """What is needed of a `khs.image.Archive`."""

    @property
    def config(self) -> bytes: ...
    @property
    def memory(self) -> bytes: ...
    @property
    def policies(self) -> tuple[bytes, ...]: ...
    @property
    def manifest(self) -> Mapping[str, Any]: ...
    @property
    def inputs(self) -> list[tuple[int, int, bytes]]: ...


@dataclass(frozen=True)
class Snapshot:
    """A point of a machine's run to go on from again: libkhs' snapshot, what was known of the
    events, how many inputs there were, and what of Python's state went with it."""

    kept: int
    tally: Tally
    inputs: int
    exchange: Any
    devices: dict[str, Any]


class Machine:
    """A loaded system. `run` takes it from tick 0, each further `run` goes on from there.

    `policy_at`: policies from outside by the major frame at whose beginning they come into force,
    from 1 on. `isolate`: guests run in a child process that can do nothing else. `prompt`: events
    are drained at the end of every major frame, so that a sink that stops the run ends it there;
    isolated guests are ahead of their sink by what the ring and the pipe hold. `models`: devices in
    Python, by PARTITION.DEVICE; `lines`: what devices are joined to, likewise; `outside`: who else
    is met during the run. Machines with any of these run here, not isolated. `can`: names of CAN
    buses by PARTITION.DEVICE; a controller that is not named has one of its own.
    `until`: the tick where runs end before their frames do. What comes in
    joins `inputs`.
    """

    engine = "unicorn"

    def __init__(
        self,
        archive: Image,
        *,
        seed: int = 0,
        policy_at: Mapping[int, bytes] | None = None,
        isolate: bool = False,
        prompt: bool = False,
        models: Mapping[str, Device] | None = None,
        lines: Mapping[str, Line] | None = None,
        outside: Outside | None = None,
        can: Mapping[str, str] | None = None,
        options: Options | None = None,
        until: int = NEVER,
    ) -> None:
        """Raises EngineError if the archive cannot be run."""
        manifest = archive.manifest
        self._system, self._board = str(manifest["system"]), str(manifest["board"])
        self._names = [str(name) for name in manifest["names"]["partitions"]]
        self.seed = seed
        swaps = sorted((policy_at or {}).items())
        policies = [*archive.policies, *(policy for _, policy in swaps)]
        try:
            if prompt and options is None:
                options = Options(ring_bytes=1)  # the least that the system needs
            self.host = Host(archive.config, archive.memory, policies, options)
        except LoadError as error:
            raise EngineError(self._refusal(error)) from error
        if isolate and (models or lines or outside):
            self.host.close()
            raise EngineError("isolated guests have neither models in Python nor anybody outside")
        if self.host.partitions != len(self._names):
            raise EngineError("the archive's manifest names other partitions than config.bin holds")
        #: What comes from outside, in the order of its ticks.
        self.inputs = sorted(archive.inputs, key=lambda row: row[0])
        self._exchange: Exchange | None = None
        self._live = any(line.live for line in (lines or {}).values())
        try:
            self.devices = Devices(self.host, manifest, models or {}, can)
            self.devices.check(lines or {})
            if lines or outside:
                self._exchange = self._open_exchange(manifest, lines or {}, outside)
            else:
                self._add_inputs()
        except KhsError:
            self.host.close()
            raise
        for number, (frame, _) in enumerate(swaps, len(archive.policies)):
            if not self.host.policy_at(frame, number):
                raise EngineError(f"no policy can come into force at major frame {frame}")
        self._isolate = isolate
        self._until = until
        self._step = 1 if prompt else NEVER  # major frames between two drains
        self._tally: Tally | None = None
        self._interrupted = False
        self._take: Taker = lambda drained: None

    def _refusal(self, error: LoadError) -> str:
        if error.partition is None or error.partition >= len(self._names):
            return f"{self._system} is refused: {error}"
        return f"{self._system} is refused: partition {self._names[error.partition]}: {error}"

    def _open_exchange(
        self, manifest: Mapping[str, Any], lines: Mapping[str, Line], outside: Outside | None
    ) -> Exchange:
        made = Exchange(self.host, self.devices, self.inputs, int(manifest["clock_hz"]))
        made.stop, made.stopping = self.stop, lambda: self._interrupted
        made.machine = self
        rate = FAST_RATE if self._live and outside is None else RATE
        made.parties = [
            *([Lines(made, lines, rate)] if lines else []),
            *(outside(made) if outside is not None else []),
        ]
        self.inputs = made.inputs
        return made

    def _add_inputs(self) -> None:
        """Inputs are taken in the order of their ticks."""
        for row in self.inputs:
            if not self.host.add_input(*row):
                raise EngineError(f"the archive's input at tick {row[0]} does not fit the system")

    # ------------------------------------------------------------ life

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
        """Frees the engines and their memory."""
        self.host.close()

    @property
    def reproducible(self) -> bool:
        """Whether it would be the same run again without a recording."""
        return not self._live and not (self._exchange is not None and self._exchange.live)

    def stop(self) -> None:
        """Ends `run` at the next tick boundary; from any thread."""
        self._interrupted = True
        self.host.stop()

    # ------------------------------------------------------------ running

    def run(
        self,
        frames: int,
        *,
        sink: Sink | None = None,
        notable: Sink | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Runs `frames` major frames, less if the module stops or on Ctrl-C.

        Every event record is hashed, and given to `sink` if there is one; those that people are
        told one by one, denials and faults above all, are given to `notable`. None of this changes
        what happens. Raises EngineError if the system does not boot.
        """
        take = take_for(sink, notable)
        self._interrupted = False
        began = time.perf_counter()
        if self._isolate:
            tally, status, views = self._run_isolated(frames, take, progress)
        else:
            tally, status, views = self._run_here(frames, take, progress)
        return self._result(
            tally, status, views, self._interrupted, self.reproducible, time.perf_counter() - began
        )

    def result(
        self, *, interrupted: bool, reproducible: bool, wall_s: float, tally: Tally | None = None
    ) -> Result:
        """What the run comes to so far; `tally` in the place of its own."""
        views = [self.host.view(number) for number in range(self.host.partitions)]
        status = self.host.status()
        return self._result(tally or self.boot(), status, views, interrupted, reproducible, wall_s)

    def _result(
        self,
        tally: Tally,
        status: Status,
        views: list[View],
        interrupted: bool,
        reproducible: bool,
        wall_s: float,
    ) -> Result:
        return Result(
            system=self._system,
            board=self._board,
            engine=self.engine,
            seed=self.seed,
            frames=status.frames,
            ticks=status.tick,
            reproducible=reproducible,
            interrupted=interrupted,
            stopped=tally.stopped,
            trace_sha256=tally.trace_sha256,
            verdicts=tally.verdicts,
            partitions=tally.partitions(views),
            wall_s=wall_s,
        )

    def _run_here(
        self, frames: int, take: Taker, progress: Progress | None
    ) -> tuple[Tally, Status, list[View]]:
        def reached() -> None:
            if progress is not None:
                progress(self.host.status().frames - begun, frames)

        with on_interrupt(self.stop):
            self.boot()  # which calls models
            begun = self.host.status().frames
            end = End.INTERRUPTED
            if not self._interrupted:
                end = self.advance(take, begun + frames, self._until, reached)
        self._interrupted |= end is End.INTERRUPTED
        views = [self.host.view(number) for number in range(self.host.partitions)]
        return self.boot(), self.host.status(), views

    def boot(self) -> Tally:
        """Takes the system to tick 0, unless it has run; what is known of its events."""
        if self._tally is None:
            self.host.boot()
            self._tally = Tally(self._names)
        return self._tally

    def advance(
        self,
        take: Taker,
        frames: int = NEVER,
        until: int = NEVER,
        reached: Callable[[], None] = lambda: None,
    ) -> End:
        """Up to so many major frames since tick 0, or up to a tick; events are tallied and given
        to `take`, then `reached` is called, now and then."""
        self.boot()
        self._take = take
        while True:
            stride = until
            if self._exchange is not None:
                stride = min(until, self._exchange.begin())
                frames = min(frames, self._exchange.frames_most)
            target = min(frames, self.host.status().frames + self._step)
            end = self.host.run(target, stride)
            self._drain(take)
            self.devices.check_models()
            sent = self.devices.fetch()
            if self._exchange is not None:
                self._exchange.end(sent)
            reached()
            status = self.host.status()
            partly = end is End.REACHED and status.frames < frames and status.tick < until
            if end not in (End.YIELDED, End.DRAIN) and not partly:
                return end

    # ------------------------------------------------------------ going back

    def settle(self, take: Taker) -> None:
        """Deals with all that is due at the tick where the system stands: what it takes for a
        snapshot, and for a change from outside to have its place (khs.engine.changes)."""
        tick = self.host.status().tick
        wanted = goal(until=tick, start=(tick, False), move=Move.PASSING)
        while Stepper(self.host).run(wanted).cause in (Cause.CONTINUES, Cause.INTERRUPT):
            self._drain(take)
        self._drain(take)
        sent = self.devices.fetch()
        if self._exchange is not None:
            self._exchange.send(sent)

    def keep(self) -> Snapshot:
        """`snapshot` in the midst of a run, between two ticks."""
        return self.snapshot(self._take)

    def snapshot(self, take: Taker) -> Snapshot:
        """Of a system that runs here; to `forget` before it is closed. EngineError if there is no
        room for it."""
        tally = self.boot()
        self.settle(take)
        exchange = None if self._exchange is None else self._exchange.save()
        devices = self.devices.save()
        try:
            kept = Stepper(self.host).snapshot()
        except MemoryError as error:
            raise EngineError("there is no room for a snapshot") from error
        return Snapshot(kept, tally.copy(), self.host.inputs, exchange, devices)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from there; what came from outside since never did."""
        stepper = Stepper(self.host)
        stepper.restore(snapshot.kept)
        self.host.cut_inputs(snapshot.inputs)
        self._tally = snapshot.tally.copy()
        self.devices.restore(snapshot.devices)
        if self._exchange is not None:
            self._exchange.restore(snapshot.exchange)

    def forget(self, snapshot: Snapshot) -> None:
        """Frees it."""
        Stepper(self.host).forget(snapshot.kept)

    def _drain(self, take: Taker) -> None:
        for drained in self.host.drain():
            self.boot().add(drained)
            take(drained)

    def _run_isolated(
        self, frames: int, take: Taker, progress: Progress | None
    ) -> tuple[Tally, Status, list[View]]:
        """Always from tick 0: what the child did is gone with it."""
        tally = Tally(self._names)

        def add(drained: Drained) -> None:
            tally.add(drained)
            take(drained)

        def reached(done: int) -> None:
            if progress is not None:
                progress(done, frames)

        end, status, views = run_isolated(
            self.host, (frames, self._until), add, reached, self.stop, lambda: self._interrupted
        )
        self._interrupted |= end is End.INTERRUPTED
        return tally, status, views


def take_for(sink: Sink | None, notable: Sink | None) -> Taker:
    """Gives each what it wants of drained events."""

    def take(drained: Drained) -> None:
        if sink is not None:
            sink(drained.records)
        if notable is not None and drained.notable:
            notable(drained.notable)

    return take
