"""What a plant's variables are wired to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from khs.config.rules import suggest
from khs.engine.lines import Exchange
from khs.errors import ConfigError, Finding
from khs.hil.bench import Bench, step_of
from khs.hil.document import WireTable
from khs.hil.plant import Causality, Value, Variables
from khs.hil.serial import Say
from khs.hil.signals import Nodes
from khs.hil.wires import Connector

W = TypeVar("W")
_NOUN = {float: "a number", int: "an integer", bool: "true or false", str: "a text"}


class Wiring:
    """Of one plant: `step`, "frame", "window" or whole ticks; parameters in `start`; wires by
    variable. ConfigError with all that is wrong; of a plant without `variables`, whose names nobody
    knows before it runs, with all of the rest."""

    def __init__(
        self,
        bench: Bench,
        name: str,
        variables: Variables | None,
        exchange: Exchange,
        manifest: Mapping[str, Any],
        say: Say = lambda line: None,
    ) -> None:
        self._bench, self._table = bench, bench.document.plant[name]
        self._variables = variables
        self._exchange = exchange
        self._findings: list[Finding] = []
        self.step: str | int = "frame"
        with self._collecting():
            self.step = self._step()
        self.start: dict[str, Value] = {}
        for key, value in self._table.start.items():
            with self._collecting():
                self.start[key] = self._parameter(key, value)
        connector = Connector(bench, exchange, manifest, Nodes(bench, exchange, say))
        self.inputs = self._wires("input", self._table.inputs, connector.input)
        self.outputs = self._wires("output", self._table.outputs, connector.output)
        if self._findings:
            raise ConfigError(dict.fromkeys(self._findings))  # a DBC has many wires

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            self._findings += error.findings

    def _step(self) -> str | int:
        step, hz = step_of(self._table), self._exchange.clock_hz
        if isinstance(step, str):
            return step
        ticks, rest = divmod(step * hz, 1_000_000_000)
        if rest:
            message = f"{self._table.step} is no whole number of ticks of {hz} Hz"
            path = (*self._table.path, "step")
            raise self._bench.error(path, message, "a multiple of a tick")
        return ticks

    def _parameter(self, key: str, value: object) -> Value:
        path = (*self._table.path, "start", key)
        kind = self._kind(key, "parameter", path)
        fits = kind is None or type(value) is kind or (kind is float and type(value) is int)
        if not fits or not isinstance(value, Value):
            noun = "a number, true, false or a text" if kind is None else _NOUN[kind]
            raise self._bench.error(path, f"{key} is {noun}", f"{key} = ...")
        return float(value) if kind is float else value

    def _kind(self, name: str, causality: Causality, path: tuple[str | int, ...]) -> type | None:
        if self._variables is None:
            return None
        known = self._variables.names(causality)
        if name not in known:
            help = suggest(name, known, f"{causality}s")
            what = f'the plant has no {causality} "{name}"'
            raise self._bench.error(path, what, help, at_key=True)
        kind = self._variables.kind(name)
        if kind is not None and kind not in _NOUN:
            help = "wired are float, int, bool and str"
            raise self._bench.error(path, f"{name} is of type {kind.__name__}", help)
        return kind

    def _wires(
        self,
        causality: Causality,
        tables: Mapping[str, WireTable],
        connect: Callable[[WireTable, type | None], W],
    ) -> dict[str, W]:
        made: dict[str, W] = {}
        for name, wire in tables.items():
            kind: type | None = None
            with self._collecting():
                kind = self._kind(name, causality, wire.path)
            with self._collecting():
                made[name] = connect(wire, kind)
        return made
