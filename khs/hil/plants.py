"""The plants of a bench, stepped by virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from khs.engine.interrupt import Interrupted
from khs.engine.lines import Exchange
from khs.errors import ConfigError, Finding
from khs.hil import models, sources
from khs.hil.bench import Bench
from khs.hil.document import PlantTable
from khs.hil.plant import Model, Plant, PlantError, PythonModel, Value, Variables, checked, words
from khs.hil.serial import Say
from khs.hil.wires import InputWire, OutputWire
from khs.hil.wiring import Wiring

#: Wires the plants to a system, of which there is a manifest.
Wired = Callable[[Exchange, Mapping[str, Any]], "list[PlantLoop]"]


class PlantLoop:
    """One plant: at each of its ticks its inputs are read, it does the step that ends there, and
    its outputs are written. `failure`: why it does no more; after a signal that had to interrupt it
    it does no more either."""

    def __init__(
        self,
        bench: Bench,
        name: str,
        model: Model,
        exchange: Exchange,
        manifest: Mapping[str, Any],
        say: Say = lambda line: None,
    ) -> None:
        table = bench.document.plant[name]
        self.name = name
        self.failure = ""
        self._is_over = False
        self.steps = 0
        #: What its outputs were last.
        self.last: dict[str, Value] = {}
        self._exchange, self._model = exchange, model
        self._bench, self._table = bench, table
        wiring = Wiring(bench, name, model, exchange, manifest, say)
        self._step, self._start = wiring.step, wiring.start
        self._inputs, self._outputs = wiring.inputs, wiring.outputs
        self._kinds = {name: model.kind(name) for name in self._outputs}
        self._at: int | None = None

    @property
    def model(self) -> Model:
        """What is stepped."""
        return self._model

    # ------------------------------------------------------------ as a party

    def next(self, tick: int) -> int:
        if isinstance(self._step, int):
            return (tick // self._step + 1) * self._step
        window_end, frame_end = self._exchange.window()
        return frame_end if self._step == "frame" else window_end

    def hear(self, name: str, data: bytes) -> None:
        for wire in self._inputs.values():
            wire.hear(name, data)

    def meet(self, tick: int) -> None:
        if self.failure or self._is_over:
            return
        try:
            self._meet(tick)
        except Interrupted:
            self._is_over = True
        except PlantError as error:
            self.failure = str(error)
            self._exchange.stop()

    def save(self) -> Any:
        states = [wire.state for wire in self._wires()]
        return self._at, self.steps, self.failure, self._model.save(), states

    def restore(self, saved: Any, tick: int) -> None:
        self._at, self.steps, self.failure, model, states = saved
        self._model.restore(model)
        for wire, state in zip(self._wires(), states, strict=True):
            wire.state = state

    def _wires(self) -> list[InputWire | OutputWire]:
        return [*self._inputs.values(), *self._outputs.values()]

    def _meet(self, tick: int) -> None:
        hz = self._exchange.clock_hz
        if self._at is None:
            self._model.begin(self._start)
            self._take()
        else:
            self._take()
            self._model.step(self._at / hz, (tick - self._at) / hz)
            self.steps += 1
        self._at = tick
        for name, wire in self._outputs.items():
            value = self._model.get(name)
            try:
                self.last[name] = checked(value, self._kinds[name])
                wire.write(tick, self.last[name])
            except PlantError as error:
                place = self._bench.place((*self._table.path, "outputs", name))
                raise PlantError(f"{place}: {name} is {words(value)}: {error}") from error

    def _take(self) -> None:
        for name, wire in self._inputs.items():
            value = wire.read()
            if value is not None:
                self._model.set(name, _cast(value, self._model.kind(name)))


def _cast(value: Value, kind: type) -> Value:
    """As a variable of that type has it; inputs are never texts."""
    if kind is bool:
        return value != 0
    if kind is int:
        try:
            return round(float(value))
        except (ValueError, OverflowError):
            raise PlantError(f"{value!r} is no integer") from None
    return str(value) if kind is str else float(value)


def _open(bench: Bench, name: str, table: PlantTable) -> Model:
    with _placed(bench, table):
        if table.python is not None:
            plant: Plant = models.make(bench.path(table.python), Plant, _example(table.python))
            return PythonModel(name, plant)
    from khs.hil.fmu import FmuModel

    return FmuModel(bench, name, table)


def described(bench: Bench, table: PlantTable) -> Variables | None:
    """What a plant's file tells of it, without any of its code; None if it does not tell. KhsError
    if it is none."""
    with _placed(bench, table):
        if table.python is not None:
            return sources.read(bench.path(table.python), Plant, _example(table.python))
    from khs.hil.fmu import FmuVariables

    return FmuVariables(bench, table)


def _example(python: str) -> str:
    return f'python = "{python.partition(":")[0]}:CLASS"'


@contextmanager
def _placed(bench: Bench, table: PlantTable) -> Iterator[None]:
    try:
        yield
    except models.AbsentError as error:
        raise bench.error((*table.path, "python"), *error.parts) from error


@contextmanager
def opened(bench: Bench, say: Say = lambda line: None) -> Iterator[Wired]:
    """Makes the plants, which end with the run; gives what wires them. `say` is told of values that
    no signal has. KhsError if one cannot be
    had, ConfigError if it cannot be wired."""
    with ExitStack() as stack:
        made: dict[str, Model] = {}
        for name, table in bench.document.plant.items():
            made[name] = _open(bench, name, table)
            stack.callback(made[name].close)

        def wired(exchange: Exchange, manifest: Mapping[str, Any]) -> list[PlantLoop]:
            loops: list[PlantLoop] = []
            findings: list[Finding] = []
            for name, model in made.items():
                try:
                    loops.append(PlantLoop(bench, name, model, exchange, manifest, say))
                except ConfigError as error:
                    findings += error.findings
            if findings:
                raise ConfigError(findings)
            return loops

        yield wired
