"""Lines to the outside: bytes between devices and whatever is at the other end, at ticks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from khs.engine.devices import Devices
from khs.engine.inputs import Stamped
from khs.engine.native import Host
from khs.errors import EngineError

#: Exchanges for each second of virtual time.
RATE = 1000


class Line(Protocol):
    """What a device is joined to. `live`: somebody is there who needs time, so that virtual time
    does not run ahead of the clock on the wall."""

    live: bool

    def take(self) -> bytes:
        """What has come in since the last time; never waits."""
        ...

    def put(self, data: bytes) -> None:
        """What the device has sent; never waits for long."""
        ...


class Exchange:
    """Takes bytes in and out between two runs, every millisecond of virtual time. What comes in is
    an outside input with the tick of that moment: kept with the declared ones in `inputs`, it gives
    the same run again without any line."""

    def __init__(
        self,
        host: Host,
        devices: Devices,
        lines: Mapping[str, Line],
        declared: list[Stamped],
        clock_hz: int,
    ) -> None:
        self._host, self._devices, self._lines = host, devices, lines
        self._hz = clock_hz
        self._stride = max(self._hz // RATE, 1)
        self._declared = list(declared)
        self._until = 0
        self._began: float | None = None
        self.inputs: list[Stamped] = []

    def begin(self) -> int:
        """How far the system may run until the next exchange."""
        if self._began is None:
            self._began = time.monotonic()
            self._take_in(0)
        tick = int(self._host.status().tick)
        self._until = (tick // self._stride + 1) * self._stride
        while self._declared and self._declared[0][0] <= self._until:
            self._add(self._declared.pop(0))
        return self._until

    def send(self, sent: Mapping[str, bytes]) -> None:
        """What devices sent."""
        for name, data in sent.items():
            if name in self._lines:
                self._lines[name].put(data)

    def end(self, sent: Mapping[str, bytes]) -> None:
        """After a run, which may not have got that far."""
        self.send(sent)
        tick = int(self._host.status().tick)
        if tick < self._until:
            return
        self._wait(tick)
        self._take_in(tick)

    def save(self) -> list[Stamped]:
        """What is still to come of the declared inputs, for a snapshot."""
        return list(self._declared)

    def restore(self, saved: list[Stamped]) -> None:
        """The host went back to where that was."""
        self._declared = list(saved)
        del self.inputs[self._host.inputs :]
        self._began = time.monotonic() - int(self._host.status().tick) / self._hz

    def _take_in(self, tick: int) -> None:
        for name, line in self._lines.items():
            if data := line.take():
                self._add((tick, self._devices.ports[name].target, data))

    def _add(self, row: Stamped) -> None:
        if not self._host.add_input(*row):
            raise EngineError(f"the input at tick {row[0]} does not fit the system")
        self.inputs.append(row)

    def _wait(self, tick: int) -> None:
        """Virtual time is never ahead of the clock on the wall."""
        if self._began is None or not any(line.live for line in self._lines.values()):
            return
        ahead = tick / self._hz - (time.monotonic() - self._began)
        if ahead > 0:
            time.sleep(min(ahead, 1.0))
