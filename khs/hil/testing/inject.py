"""Messages of a test to the inputs of partitions, [input.NAME] of system.toml."""

from __future__ import annotations

from collections.abc import Sequence

from khs.engine.lines import RATE, Exchange

_Waiting = list[tuple[int, bytes]]


class Injector:
    """A `khs.engine.lines.Party` that gives what waits, every millisecond of virtual time."""

    def __init__(self, exchange: Exchange, names: Sequence[str]) -> None:
        self._exchange, self._names = exchange, list(names)
        self._stride = max(exchange.clock_hz // RATE, 1)
        self._waiting: _Waiting = []

    def send(self, name: str, data: bytes) -> None:
        """One message. KeyError if there is no such input."""
        if name not in self._names:
            raise KeyError(name)
        self._waiting.append((self._names.index(name), data))

    def next(self, tick: int) -> int:
        return (tick // self._stride + 1) * self._stride

    def hear(self, name: str, data: bytes) -> None:
        """Inputs say nothing."""

    def meet(self, tick: int) -> None:
        waiting, self._waiting = self._waiting, []
        for target, data in waiting:
            self._exchange.add(tick, target, data)

    def save(self) -> _Waiting:
        return list(self._waiting)

    def restore(self, saved: _Waiting, tick: int) -> None:
        self._waiting = list(saved)
