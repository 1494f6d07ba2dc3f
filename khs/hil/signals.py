"""Wires between a plant's variables and signals on CAN buses."""

from __future__ import annotations

import math
from pathlib import Path

from khs.config.rules import suggest
from khs.engine.lines import Exchange
from khs.errors import KhsError
from khs.hil.bench import Bench
from khs.hil.document import WireTable
from khs.hil.frames import RECORD, THERE, Database, frames
from khs.hil.plant import PlantError, Value
from khs.hil.serial import Say


class SignalInput:
    """A signal of a message that anybody else on the bus sends."""

    def __init__(self, port: str, database: Database, message: str, signal: str) -> None:
        self._port, self._database = port, database
        self._message, self._signal = message, signal
        #: The beginning of a frame, and the value.
        self.state: tuple[bytes, float | None] = b"", None

    def hear(self, name: str, data: bytes) -> None:
        if name != self._port:
            return
        part, value = self.state
        data = part + data
        whole = len(data) - len(data) % RECORD.size
        for frame in frames(data[:whole]):
            told = self._database.decode(frame)
            if told is not None and told[0] == self._message and self._signal in told[1]:
                number = told[1][self._signal]
                value = float(getattr(number, "value", number))  # it may have a name
        self.state = data[whole:], value

    def read(self) -> Value | None:
        return self.state[1]


class Message:
    """One that a plant sends at each step: all its signals, those without a wire 0. A value beyond
    a signal's range is the nearest that it has; `say` is told of the first."""

    def __init__(self, node: Node, name: str, say: Say) -> None:
        database = node.database
        self._node, self._database, self._name = node, database, name
        self._say, self._clipped = say, set[str]()
        self._rest = dict.fromkeys(database.signals(name), 0.0)
        self._wired: set[str] = set()
        self._written: dict[str, float] = {}

    def wire(self, signal: str, place: str) -> SignalOutput:
        self._wired.add(signal)
        return SignalOutput(self, signal, place)

    def write(self, tick: int, signal: str, value: float, place: str) -> None:
        """With the last of them it is sent."""
        if math.isnan(value):
            raise PlantError("it is not a number, and no signal says that")
        nearest = self._database.nearest(self._name, signal, value)
        if nearest != value and signal not in self._clipped:
            self._clipped.add(signal)
            self._say(
                f"{place}: {signal} of {self._name} cannot be {value:g}: "
                f"{nearest:g}, the nearest, is sent then"
            )
        self._written[signal] = nearest
        if self._written.keys() != self._wired:
            return
        signals, self._written = {**self._rest, **self._written}, {}
        try:
            frame = self._database.encode(self._name, signals)
        except KhsError as error:
            raise PlantError(str(error)) from error
        self._node.send(tick, frame.record)


class SignalOutput:
    """A signal of a message that a plant sends."""

    state = None

    def __init__(self, message: Message, signal: str, place: str) -> None:
        self._message, self._signal, self._place = message, signal, place

    def write(self, tick: int, value: Value) -> None:
        self._message.write(tick, self._signal, float(value), self._place)


class Node:
    """What a plant is on a bus: a node that acknowledges, and hears all others."""

    def __init__(self, exchange: Exchange, port: str, database: Database) -> None:
        self.port, self.database = port, database
        self._exchange = exchange
        self._signals: list[SignalInput] = []
        exchange.put(port, 0, THERE)
        exchange.join(port, self)

    def wire(self, message: str, signal: str) -> SignalInput:
        self._signals.append(SignalInput(self.port, self.database, message, signal))
        return self._signals[-1]

    def overhear(self, tick: int, data: bytes) -> None:
        for signal in self._signals:
            signal.hear(self.port, data)

    def send(self, tick: int, data: bytes) -> None:
        self._exchange.put(self.port, tick, data, by=self)


class Nodes:
    """What a plant is on the CAN buses of a bench."""

    def __init__(self, bench: Bench, exchange: Exchange, say: Say) -> None:
        self._bench, self._exchange, self._say = bench, exchange, say
        self._nodes: dict[str, Node] = {}
        self._messages: dict[tuple[str, str], Message] = {}

    def input(self, wire: WireTable) -> SignalInput:
        """A wire to the plant."""
        return self._node(wire).wire(str(wire.message), str(wire.signal))

    def output(self, wire: WireTable) -> SignalOutput:
        """A wire from the plant."""
        node, key = self._node(wire), (str(wire.can), str(wire.message))
        if key not in self._messages:
            self._messages[key] = Message(node, key[1], self._say)
        return self._messages[key].wire(str(wire.signal), self._bench.place(wire.path))

    def _node(self, wire: WireTable) -> Node:
        """That of the wire's bus, where there is such a signal."""
        bus, message, signal = str(wire.can), str(wire.message), str(wire.signal)
        port = self._exchange.devices.buses.get(bus)
        if port is None:
            help = "nodes = [...] of the bus names controllers, PARTITION.DEVICE"
            raise self._bench.error((*wire.path, "can"), f'nobody is on the bus "{bus}"', help)
        node = self._on(bus, port.name)
        try:
            known = node.database.signals(message)
        except KhsError as error:
            what, _, help = str(error).partition("\n  help: ")
            raise self._bench.error((*wire.path, "message"), what, help) from error
        if signal not in known:
            help = suggest(signal, known, "signals")
            what = f'{message} has no signal "{signal}"'
            raise self._bench.error((*wire.path, "signal"), what, help)
        return node

    def _on(self, bus: str, port: str) -> Node:
        if bus not in self._nodes:
            dbc = self._bench.document.can[bus].dbc
            try:
                database = Database(Path(self._bench.path(str(dbc))))
            except KhsError as error:
                what, _, help = str(error).partition("\n  help: ")
                raise self._bench.error(("can", bus, "dbc"), what, help) from error
            self._nodes[bus] = Node(self._exchange, port, database)
        return self._nodes[bus]
