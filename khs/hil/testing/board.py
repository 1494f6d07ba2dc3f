"""A system on an emulated board: booted anew for each test, and let run from one report of its
kernel to the next, every eight major frames; it stands still in between."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import threading
from typing import ClassVar

from khs import runs
from khs.engine.log import Mark
from khs.engine.qemu import Machine
from khs.engine.qemu.paused import Paused
from khs.engine.result import Result
from khs.engine.stepping import Batch
from khs.engine.structures import View
from khs.errors import EngineError
from khs.hil.testing.events import EventRig
from khs.hil.testing.spec import Spec
from khs.runs import Plan
from khs.trace.kinds import EventType

_SIZE_KIND = struct.Struct("<8xI12xH")
_POLICY = int(EventType.POLICY)
#: For what the board has sent to get here, and what is sent to it to get there.
_SETTLING_S = 0.005


class _Run:
    """The board in a thread of its own. `standing`: it waits for `go`, or is over."""

    def __init__(self, machine: Machine, rig: OnBoard) -> None:
        self.standing, self._go = threading.Event(), threading.Event()
        self.result: Result | None = None
        self.error: Exception | None = None
        self._machine, self._rig, self._closing = machine, rig, False
        self._thread = threading.Thread(target=self._work, daemon=True, name="khs board")
        self._thread.start()

    def _work(self) -> None:
        take = self._rig.taken
        try:
            self.result = self._machine.run(
                0, sink=take, notable=self._rig.noted, inspect=self._inspect
            )
        except Exception as error:
            self.error = error
        self.standing.set()

    async def _inspect(self, paused: Paused) -> None:
        await asyncio.sleep(_SETTLING_S)
        self.standing.set()
        await asyncio.get_running_loop().run_in_executor(None, self._go.wait)
        while self._rig.is_sending and not self._closing:
            await asyncio.sleep(_SETTLING_S)
        self._go.clear()

    def on(self) -> None:
        """To where it stands next, or its end. EngineError if it failed."""
        if not self.is_over:
            self.standing.clear()
            self._go.set()
            self.standing.wait()
        if self.error is not None:
            raise self.error

    @property
    def is_over(self) -> bool:
        return self.result is not None or self.error is not None

    def close(self) -> None:
        self._closing = True
        while self._thread.is_alive():
            self._machine.stop()
            self._go.set()
            self._thread.join(0.05)


class OnBoard(EventRig):
    """Opens and boots it."""

    engine = "qemu"
    can: ClassVar[frozenset[str]] = frozenset({"virtual-time", "partitions", "events"})

    def __init__(self, spec: Spec, plan: Plan) -> None:
        super().__init__(spec, plan)
        machine = runs.open_machine(plan, lines=self._ports)
        assert isinstance(machine, Machine)
        self._machine = machine
        self._run: _Run | None = None

    def close(self) -> None:
        self._switch_off()
        self._machine.close()
        super().close()

    def _switch_off(self) -> None:
        if self._run is not None:
            self._run.close()
        self._run = None

    def reset(self) -> None:
        self._switch_off()
        self._log.go(Mark())
        self._log.cut()
        for wire in self._wires.values():
            wire.restore((0, 0, b""))
        self._run = _Run(self._machine, self)
        self._run.standing.wait()
        self._run.on()

    # ------------------------------------------------------------ in the board's thread

    def taken(self, records: memoryview) -> None:
        """Events. The test waits meanwhile."""
        count = swaps = place = 0
        while place < len(records):
            size, kind = _SIZE_KIND.unpack_from(records, place)
            count, swaps, place = count + 1, swaps + (kind == _POLICY), place + size
        self._take(Batch(bytes(records), count, swaps=swaps), memoryview(b""))

    def noted(self, records: memoryview) -> None:
        """Those that are told one by one."""
        self._take(Batch(b"", 0), records)

    @property
    def is_sending(self) -> bool:
        """Bytes of the test wait for the board."""
        return any(wire.is_sending for wire in self._ports.values())

    # ------------------------------------------------------------ the test's side

    @property
    def time_ns(self) -> int:
        return 0 if self._run is None else self._machine.report.tick * 1_000_000_000 // self._hz

    @property
    def stopped(self) -> str | None:
        result = None if self._run is None else self._run.result
        if result is None:
            return None
        return "the board is off" if result.stopped is None else result.stopped.word

    def _advance(self, until_ns: int) -> None:
        if self._run is None:
            raise EngineError(f"{self} is switched off")
        while self.time_ns < until_ns and self.stopped is None:
            self._run.on()

    def view(self, partition: int) -> View:
        views = self._machine.report.views
        return views[partition] if views else View()

    @property
    def trace_sha256(self) -> str:
        digest = hashlib.sha256()
        for batch in self._log.batches():
            digest.update(batch)
        return digest.hexdigest()
