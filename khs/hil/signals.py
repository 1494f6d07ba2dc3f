"""Wires between a plant's variables and signals on CAN buses."""

from __future__ import annotations

from pathlib import Path

from khs.config.rules import suggest
from khs.engine.lines import Exchange
from khs.errors import KhsError
from khs.hil.bench import Bench
from khs.hil.document import WireTable
from khs.hil.frames import RECORD, THERE, Database, frames
from khs.hil.plant import PlantError, Value
from khs.hil.wires import Wire


class SignalIn:
    """A signal of a message that a controller of the system sends."""

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

    def write(self, tick: int, value: Value) -> None:
        raise NotImplementedError


class Message:
    """One that a plant sends at each step: all its signals, those without a wire 0."""

    def __init__(self, exchange: Exchange, port: str, database: Database, name: str) -> None:
        self._exchange, self._port = exchange, port
        self._database, self._name = database, name
        self._rest = dict.fromkeys(database.signals(name), 0.0)
        self._wired: set[str] = set()
        self._written: dict[str, float] = {}

    def wire(self, signal: str) -> SignalOut:
        self._wired.add(signal)
        return SignalOut(self, signal)

    def write(self, tick: int, signal: str, value: float) -> None:
        """With the last of them it is sent."""
        self._written[signal] = value
        if self._written.keys() != self._wired:
            return
        signals, self._written = {**self._rest, **self._written}, {}
        try:
            frame = self._database.encode(self._name, signals)
        except KhsError as error:
            raise PlantError(str(error)) from error
        self._exchange.put(self._port, tick, frame.record)


class SignalOut:
    """A signal of a message that a plant sends."""

    state = None

    def __init__(self, message: Message, signal: str) -> None:
        self._message, self._signal = message, signal

    def hear(self, name: str, data: bytes) -> None:
        pass

    def read(self) -> Value | None:
        raise NotImplementedError

    def write(self, tick: int, value: Value) -> None:
        self._message.write(tick, self._signal, float(value))


class Nodes:
    """What a plant is on the CAN buses of a bench: a node that acknowledges."""

    def __init__(self, bench: Bench, exchange: Exchange) -> None:
        self._bench, self._exchange = bench, exchange
        self._databases: dict[str, Database] = {}
        self._messages: dict[tuple[str, str], Message] = {}

    def connect(self, wire: WireTable) -> Wire:
        bus, message, signal = str(wire.can), str(wire.message), str(wire.signal)
        port = self._exchange.devices.buses.get(bus)
        if port is None:
            help = "nodes = [...] of the bus names controllers, PARTITION.DEVICE"
            raise self._bench.error((*wire.path, "can"), f'nobody is on the bus "{bus}"', help)
        database = self._database(bus, port.name)
        try:
            known = database.signals(message)
        except KhsError as error:
            what, _, help = str(error).partition("\n  help: ")
            raise self._bench.error((*wire.path, "message"), what, help) from error
        if signal not in known:
            help = suggest(signal, known, "signals")
            what = f'{message} has no signal "{signal}"'
            raise self._bench.error((*wire.path, "signal"), what, help)
        if wire.path[-2] == "inputs":
            return SignalIn(port.name, database, message, signal)
        key = bus, message
        if key not in self._messages:
            self._messages[key] = Message(self._exchange, port.name, database, message)
        return self._messages[key].wire(signal)

    def _database(self, bus: str, port: str) -> Database:
        if bus not in self._databases:
            dbc = self._bench.document.can[bus].dbc
            self._databases[bus] = Database(Path(self._bench.path(str(dbc))))
            self._exchange.put(port, 0, THERE)
        return self._databases[bus]
