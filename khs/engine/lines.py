"""Lines to the outside: bytes between devices and whatever is at the other end, at ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_uint64
from typing import Any, Protocol

from khs.engine.device import Fault
from khs.engine.devices import Devices
from khs.engine.inputs import Stamped
from khs.engine.native import NEVER, Host
from khs.errors import EngineError

#: Of an input's target: that it is a fault, KHS_HOST_FAULT.
FAULT = 1 << 30
#: Exchanges of lines for each second of virtual time.
RATE = 1000
#: With somebody there and nobody who keeps time: fewer, as virtual time goes faster then.
FAST_RATE = 50


class Line(Protocol):
    """What a device is joined to. `live`: somebody is there who needs time, so that virtual time
    is not to run ahead of the clock on the wall (khs.hil.pace)."""

    live: bool

    def take(self) -> bytes:
        """What has come in since the last time; never waits."""
        ...

    def put(self, data: bytes) -> None:
        """What the device has sent; never waits for long."""
        ...

    def fault(self) -> Fault | None:
        """What has happened to the line since the last time: told once, behind all that came in
        before it."""
        ...


class Party(Protocol):
    """Somebody outside whom the run meets at ticks of its choice, 0 the first. What it gives to the
    exchange then, the system gets at that tick."""

    def next(self, tick: int) -> int:
        """The next tick to meet at, behind this one; asked between two runs."""
        ...

    def hear(self, name: str, data: bytes) -> None:
        """What a device, PARTITION.DEVICE, has sent."""
        ...

    def meet(self, tick: int) -> None: ...
    def save(self) -> Any:
        """For a snapshot of the system."""
        ...

    def restore(self, saved: Any, tick: int) -> None:
        """The system went back to where that was."""
        ...


class Node(Protocol):
    """Somebody outside who is on a CAN bus of the system."""

    def overhear(self, tick: int, data: bytes) -> None:
        """What another one outside has sent there."""
        ...


class Keeper(Protocol):
    """A system that can go back; for parties, while they are met."""

    def keep(self) -> Any: ...
    def restore(self, snapshot: Any) -> None: ...
    def forget(self, snapshot: Any) -> None: ...


class Exchange:
    """Takes bytes in and out between two runs. What comes in is an outside input with the tick of
    that moment: kept with the declared ones in `inputs`, it gives the same run again without
    anybody outside."""

    def __init__(
        self, host: Host, devices: Devices, declared: list[Stamped], clock_hz: int
    ) -> None:
        self.host, self.devices, self.clock_hz = host, devices, clock_hz
        self.parties: Sequence[Party] = ()
        #: Ends the run at the next tick boundary.
        self.stop: Callable[[], object] = host.stop
        #: Whether it is to end there.
        self.stopping: Callable[[], bool] = lambda: False
        #: Whether somebody is met who makes another run each time.
        self.live = False
        self.frames_most = NEVER
        #: The system, to go back.
        self.machine: Keeper
        self._declared = list(declared)
        self._due: list[int] = []
        self._until = 0
        self.inputs: list[Stamped] = []
        self._nodes: dict[str, list[Node]] = {}

    def begin(self) -> int:
        """How far the system may run until the next meeting."""
        tick = int(self.host.status().tick)
        if not self._due:
            self._due = [tick] * len(self.parties)
            self._meet(tick)
        self._until = min(self._due)
        while self._declared and self._declared[0][0] <= self._until:
            self.add(*self._declared.pop(0))
        return self._until

    def send(self, sent: Mapping[str, bytes]) -> None:
        """What devices sent."""
        for name, data in sent.items():
            for party in self.parties:
                party.hear(name, data)

    def end(self, sent: Mapping[str, bytes]) -> None:
        """After a run, which may not have got that far."""
        self.send(sent)
        self._meet(int(self.host.status().tick))

    def _meet(self, tick: int) -> None:
        """One who takes the system back is the last."""
        for number, party in enumerate(self.parties):
            if self._due[number] <= tick:
                party.meet(tick)
                self._due[number] = party.next(int(self.host.status().tick))

    def finish(self) -> None:
        """The run ends with the major frame."""
        status = self.host.status()
        began = int(self.host.library.khs_host_frame_began(self.host.handle))
        self.frames_most = int(status.frames) + (int(status.tick) > began)

    def window(self) -> tuple[int, int]:
        """The ends of the window, or of the gap between two, and of the major frame; behind now."""
        end, frame_end = c_uint64(), c_uint64()
        tick = int(self.host.status().tick)
        self._look(end, frame_end)
        if end.value <= tick:  # before the first window
            self.host.run(until=tick)
            self._look(end, frame_end)
        return max(end.value, tick + 1), frame_end.value

    def _look(self, end: c_uint64, frame_end: c_uint64) -> None:
        self.host.library.khs_host_window(self.host.handle, byref(end), byref(frame_end))

    def join(self, name: str, node: Node) -> None:
        """On the bus whose first controller that is, PARTITION.DEVICE."""
        self._nodes.setdefault(name, []).append(node)

    def put(self, name: str, tick: int, data: bytes, by: Node | None = None) -> None:
        """Bytes to a device, PARTITION.DEVICE; on a bus they are for all nodes but the sender."""
        self.add(tick, self.devices.ports[name].target, data)
        for node in self._nodes.get(name, ()):
            if node is not by:
                node.overhear(tick, data)

    def add(self, tick: int, target: int, data: bytes) -> None:
        """An input. EngineError if it cannot be."""
        if not self.host.add_input(tick, target, data):
            raise EngineError(f"the input at tick {tick} does not fit the system")
        self.inputs.append((tick, target, data))

    def save(self) -> Any:
        """For a snapshot: what is still to come of the declared inputs, and what parties keep."""
        return list(self._declared), list(self._due), [party.save() for party in self.parties]

    def restore(self, saved: Any) -> None:
        """The host went back to where that was."""
        declared, due, kept = saved
        self._declared, self._due = list(declared), list(due)
        del self.inputs[self.host.inputs :]
        tick = int(self.host.status().tick)
        for party, each in zip(self.parties, kept, strict=True):
            party.restore(each, tick)


class _LineNode:
    """Whoever is at the other end of a bus' line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def overhear(self, tick: int, data: bytes) -> None:
        self._line.put(data)


class Lines:
    """All lines, as one who comes by `rate` times in a second of virtual time."""

    def __init__(self, exchange: Exchange, lines: Mapping[str, Line], rate: int = RATE) -> None:
        self._exchange, self._lines = exchange, lines
        self._stride = max(exchange.clock_hz // rate, 1)
        buses = {port.name for port in exchange.devices.buses.values()} & lines.keys()
        self._nodes = {name: _LineNode(lines[name]) for name in sorted(buses)}
        for name, node in self._nodes.items():
            exchange.join(name, node)

    def next(self, tick: int) -> int:
        return (tick // self._stride + 1) * self._stride

    def hear(self, name: str, data: bytes) -> None:
        if name in self._lines:
            self._lines[name].put(data)

    def meet(self, tick: int) -> None:
        for name, line in self._lines.items():
            fault = line.fault()
            if data := line.take():
                self._exchange.put(name, tick, data, by=self._nodes.get(name))
            if fault is not None:
                target = self._exchange.devices.ports[name].target
                self._exchange.add(tick, target | FAULT, bytes([fault]))

    def save(self) -> None:
        pass

    def restore(self, saved: None, tick: int) -> None:
        """What has come in since stays for afterwards."""
