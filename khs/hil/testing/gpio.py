"""Pins of the system under test, with the test at their other end."""

from __future__ import annotations

from dataclasses import dataclass

from khs.engine.lines import RATE, Exchange
from khs.errors import KhsError
from khs.hil.gpio import PINS, RECORD
from khs.hil.testing.console import Clock
from khs.hil.testing.duration import Time
from khs.hil.testing.errors import ExpiredError


@dataclass(frozen=True, slots=True)
class PinChange:
    """What the guest did: virtual time since power-on, exact to the tick, pin, level."""

    time_ns: int
    pin: int
    level: bool

    def __str__(self) -> str:
        return f"{self.time_ns / 1e6:>13.6f} ms  {self.pin}={self.level:d}"


class PinParty:
    """A `khs.engine.lines.Party` at the pins of a device. What the test sets comes at the next
    millisecond of virtual time."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        self.changes: list[PinChange] = []
        #: Levels that the test has set, by pin.
        self.levels: dict[int, bool] = {}
        self._exchange, self._name = exchange, name
        self._stride = max(exchange.clock_hz // RATE, 1)
        self._waiting = b""

    def set(self, pin: int, level: bool) -> None:
        self.levels[pin] = level
        self._waiting += RECORD.pack(1 << pin, level << pin)

    def next(self, tick: int) -> int:
        return (tick // self._stride + 1) * self._stride

    def hear(self, name: str, data: bytes) -> None:
        if name != self._name:
            return
        ticks = self._exchange.devices.sent_at[name]
        for tick, (mask, levels) in zip(ticks, RECORD.iter_unpack(data), strict=True):
            at = tick * 1_000_000_000 // self._exchange.clock_hz
            pins = [pin for pin in range(PINS) if mask >> pin & 1]
            self.changes += [PinChange(at, pin, bool(levels >> pin & 1)) for pin in pins]

    def meet(self, tick: int) -> None:
        if self._waiting:
            self._exchange.put(self._name, tick, self._waiting)
            self._waiting = b""

    def save(self) -> tuple[int, dict[int, bool], bytes]:
        return len(self.changes), dict(self.levels), self._waiting

    def restore(self, saved: tuple[int, dict[int, bool], bytes], tick: int) -> None:
        size, levels, self._waiting = saved
        self.levels = dict(levels)
        del self.changes[size:]


class Gpio:
    """`gpio("pins.gpio1")`."""

    def __init__(self, name: str, party: PinParty, clock: Clock) -> None:
        self.name = name
        self._party, self._clock = party, clock

    @property
    def changes(self) -> list[PinChange]:
        """What the guest has driven since power-on, in the order of time."""
        return list(self._party.changes)

    def set(self, pin: int, level: bool | int) -> None:
        """From outside; it is there with the next millisecond that the system runs. An output does
        not notice. KhsError if there is no such pin."""
        self._check(pin)
        self._party.set(pin, bool(level))

    def level(self, pin: int) -> bool | None:
        """To which the guest has driven the pin last; else what the test has set, None if neither
        has."""
        self._check(pin)
        for change in reversed(self._party.changes):
            if change.pin == pin:
                return change.level
        return self._party.levels.get(pin)

    def expect(self, pin: int, level: bool | int, timeout: Time | None = None) -> PinChange:
        """Runs the system until the guest drives the pin to the level, however shortly; not at all
        if it does already. ExpiredError if it does not within `timeout` of virtual time, by default
        all that the test has left."""
        __tracebackhide__ = True
        self._check(pin)
        seen = self._last(pin)

        def look() -> PinChange | None:
            nonlocal seen
            fresh, seen = self._party.changes[seen:], len(self._party.changes)
            return next((c for c in fresh if (c.pin, c.level) == (pin, bool(level))), None)

        try:
            found = self._clock.run_until(look, timeout)
        except ExpiredError as error:
            at = self._last(pin)
            told = [f"it is {c.level:d} since {c.time_ns / 1e6:.6f} ms" for c in self.changes[at:]]
            why = f"{error}; {told[0] if told else 'it was never driven'}"
            raise ExpiredError(f"{self.name}: pin {pin} did not become {level:d} {why}") from None
        assert isinstance(found, PinChange)
        return found

    def _last(self, pin: int) -> int:
        """Where the pin's level of now is among the changes, or where one may come."""
        changes = self._party.changes
        for at in range(len(changes) - 1, -1, -1):
            if changes[at].pin == pin:
                return at
        return len(changes)

    def _check(self, pin: int) -> None:
        if not 0 <= pin < PINS:
            raise KhsError(f"{self.name} has no pin {pin}\n  help: 0 to {PINS - 1}")
