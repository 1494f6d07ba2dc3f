"""A system on Unicorn, in this process: exact to the tick, restored before each test."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from khs import runs
from khs.engine.changes import MODE, Change, Position
from khs.engine.interrupt import on_interrupt
from khs.engine.lines import Exchange, Party
from khs.engine.log import Mark
from khs.engine.native import NEVER, Drained, End
from khs.engine.stepping import Batch, Stepper
from khs.engine.structures import View
from khs.engine.unicorn import Machine
from khs.engine.unicorn import Snapshot as Kept
from khs.errors import EngineError, KhsError
from khs.hil.around import Around
from khs.hil.gpio import GPIO
from khs.hil.serial import opened as opened_lines
from khs.hil.testing.events import EventRig, meant
from khs.hil.testing.gpio import Gpio, PinParty
from khs.hil.testing.inject import Injector
from khs.hil.testing.plant import PlantUnderTest
from khs.hil.testing.spec import Spec
from khs.record import prepare
from khs.runs import Plan
from khs.trace.kinds import Mode

#: In the folder of a recording.
TRACE = "run.trace"


@dataclass(frozen=True)
class Snapshot:
    """The machine's, and what goes with it."""

    kept: Kept
    mark: Mark
    changes: int
    wires: Mapping[str, tuple[int, int, bytes]]


class Here(EventRig):
    """Opens and boots it. Memory that a test writes, and modes that it sets, are inputs of the run
    (khs.engine.changes), so that its recording has them."""

    engine = "unicorn"
    can: ClassVar[frozenset[str]] = frozenset(
        "virtual-time partitions memory restart snapshot reverse replay events inputs".split()
    )

    def __init__(self, spec: Spec, plan: Plan) -> None:
        super().__init__(spec, plan)
        self._changes: list[Change] = []
        self._of_test: list[Snapshot] = []
        self._said: list[str] = []
        self._stack = ExitStack()
        try:
            self._machine = self._open(plan)
            self._stepper = Stepper(self._machine.host)
            self._boot(spec.boot_ns)
            self._start = self._keep()
            self._stack.callback(self._machine.forget, self._start.kept)
        except BaseException:
            self.close()
            raise

    def _open(self, plan: Plan) -> Machine:
        """With all that its bench has around it; ports that it joins are not the test's."""
        self._around = self._stack.enter_context(Around.opened(plan.attached, self._manifest))
        serial = plan.attached.serial
        joined = self._stack.enter_context(opened_lines(serial, self._said.append))
        self._ports = {name: wire for name, wire in self._ports.items() if name not in serial}
        machine = runs.open_machine(
            plan,
            lines={**self._ports, **joined, **self._around.lines, **dict(self._buses.values())},
            models=plan.attached.load(),
            outside=self._meet,
        )
        assert isinstance(machine, Machine)
        self._stack.callback(machine.close)
        return machine

    def _meet(self, exchange: Exchange) -> list[Party]:
        self._injector = Injector(exchange, self._manifest["names"]["inputs"])
        joined = self._around.lines
        names = [name for name, kind in self._devices() if kind == GPIO and name not in joined]
        self._pins = {name: PinParty(exchange, name) for name in names}
        around = self._around.meet(exchange) if self._around else []
        return [self._injector, *self._pins.values(), *around]

    def _boot(self, most_ns: int) -> None:
        """Until every partition is NORMAL, or idle, but no longer than that."""
        self._machine.boot()
        while self.time_ns < most_ns and self.stopped is None:
            if self._machine.host.status().tick and not any(map(self._is_starting, self._numbers)):
                return
            self._run(frames=self._machine.host.status().frames + 1)

    @property
    def _numbers(self) -> range:
        return range(len(self.partitions))

    def _is_starting(self, partition: int) -> bool:
        view = self.view(partition)
        return view.mode in (Mode.COLD_START, Mode.WARM_START) and not view.halted

    def close(self) -> None:
        self._forget()
        self._stack.close()
        super().close()

    def _forget(self) -> None:
        for snapshot in self._of_test:
            self._machine.forget(snapshot.kept)
        self._of_test = []

    # ------------------------------------------------------------ time

    @property
    def _tick(self) -> int:
        return int(self._machine.host.status().tick)

    @property
    def time_ns(self) -> int:
        return self._tick * 1_000_000_000 // self._hz

    @property
    def stopped(self) -> str | None:
        cause = self._machine.boot().stopped
        return None if cause is None else cause.word

    def _advance(self, until_ns: int) -> None:
        self._run(until=-(-until_ns * self._hz // 1_000_000_000))

    def _drained(self, drained: Drained) -> None:
        counts = (drained.count, drained.granted, drained.denied, drained.swaps)
        self._take(Batch(bytes(drained.records), *counts), drained.notable)

    def _run(self, frames: int = NEVER, until: int = NEVER) -> None:
        with on_interrupt(self._machine.stop):
            end = self._machine.advance(self._drained, frames, until)
        if self._around.failure:
            raise EngineError(self._around.failure)
        if end is End.INTERRUPTED:
            raise KeyboardInterrupt

    # ------------------------------------------------------------ looking and changing

    @property
    def features(self) -> frozenset[str]:
        return super().features | (frozenset({"plant"}) if self._around.loops else frozenset())

    def inject(self, name: str, data: bytes | str) -> None:
        try:
            self._injector.send(name, data.encode() if isinstance(data, str) else data)
        except KeyError:
            known = ", ".join(self._manifest["names"]["inputs"]) or "it has none"
            raise KhsError(f"{self} has no input {name}\n  help: {known}") from None

    def gpio(self, name: str) -> Gpio:
        self.require("gpio")
        if name not in self._pins:
            raise KhsError(f"{self} has no pins {name}{meant(name, list(self._pins))}")
        return Gpio(name, self._pins[name], self)

    def consoles(self) -> dict[str, str]:
        pins = {name: "".join(f"{row}\n" for row in at.changes) for name, at in self._pins.items()}
        return super().consoles() | {f"GPIO {name}": text for name, text in pins.items() if text}

    def plant(self, name: str) -> PlantUnderTest:
        loop = self._around.loops.get(name)
        if loop is None:
            known = ", ".join(self._around.loops) or "--khs-bench names the bench that has plants"
            raise KhsError(f"{self} has no plant {name}\n  help: {known}")
        return PlantUnderTest(name, loop)

    def view(self, partition: int) -> View:
        return self._machine.host.view(partition)

    def read(self, partition: int, address: int, size: int) -> bytes:
        return self._machine.host.read(partition, address, size)

    def write(self, partition: int, address: int, data: bytes) -> None:
        room = self._stepper.writable(partition, address, len(data))
        if room < len(data):
            raise KhsError(
                f"{self.partitions[partition]}: nobody may write at {address + room:#x}\n"
                "  help: variables may be written, programs and constants not"
            )
        self._change(partition, address, data)
        self._stepper.write(partition, address, data)

    def set_mode(self, partition: int, mode: Mode) -> None:
        self._change(partition, MODE, mode.to_bytes(4, "little"))
        if not self._stepper.set_mode(partition, mode):
            self._changes.pop()
            why = "the module has stopped" if self.stopped else "it is starting for the first time"
            raise EngineError(f"{self.partitions[partition]} cannot go to {mode.word}: {why}")
        self._machine.settle(self._drained)

    def _change(self, partition: int, what: str | int, value: bytes) -> None:
        self._machine.settle(self._drained)
        self._changes.append(Change(Position(self._tick), partition, what, value))

    # ------------------------------------------------------------ going back

    def _keep(self) -> Snapshot:
        kept = self._machine.snapshot(self._drained)
        wires = {name: wire.save() for name, wire in self._wires.items()}
        return Snapshot(kept, self._log.here, len(self._changes), wires)

    def snapshot(self) -> Snapshot:
        self._of_test.append(self._keep())
        return self._of_test[-1]

    def restore(self, snapshot: Any) -> None:
        if snapshot is not self._start and snapshot not in self._of_test:
            raise KhsError("this snapshot is of another test")
        self._machine.restore(snapshot.kept)
        self._log.go(snapshot.mark)
        self._log.cut()
        del self._changes[snapshot.changes :]
        for name, wire in self._wires.items():
            wire.restore(snapshot.wires[name])

    def reset(self) -> None:
        self._forget()
        self.restore(self._start)

    # ------------------------------------------------------------ afterwards

    @property
    def trace_sha256(self) -> str:
        return self._machine.boot().trace_sha256

    def record(self, folder: Path) -> str | None:
        prepare(folder)
        is_cut = bool(self._around.failure)
        if self.stopped is None and not is_cut:
            self._run(frames=self._machine.host.status().frames + 1)
        result = self._machine.result(interrupted=is_cut, reproducible=True, wall_s=0.0)
        frames, trace = max(result.frames + is_cut, 1), folder / TRACE
        kept = replace(self.plan, frames=frames, record=folder, trace=trace)
        recorder = runs.recorder(kept, live=True)
        assert recorder is not None
        recorder.end(result, self._machine.inputs, self._changes)
        self.write_trace(trace)
        return f"khs replay {shlex.quote(str(folder))}"
