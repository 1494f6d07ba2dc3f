"""FMUs: plants by the Functional Mock-up Interface, 2.0 or 3.0, for co-simulation, by FMPy.

The code of an FMU runs in this process, as a model in Python does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from khs.errors import ConfigError, KhsError, shown
from khs.hil.bench import Bench
from khs.hil.document import PlantTable
from khs.hil.plant import Causality, PlantError, Value

_KINDS: dict[str, type] = {
    "Real": float, "Float32": float, "Float64": float, "Boolean": bool, "String": str,
    "Integer": int, "Enumeration": int,
    **{f"{sign}Int{bits}": int for sign in ("", "U") for bits in (8, 16, 32, 64)},
}  # fmt: skip
#: FMI types without functions of their own, by version.
_ALSO = {2: {"Enumeration": "Integer"}, 3: {"Enumeration": "Int64"}}
#: Beyond so many steps an FMU is not taken back any more.
_PAST_MOST = 200_000
_HELP = "an FMU for co-simulation by FMI 2.0 or 3.0, for Linux on this processor"

#: What was set before a step, and the step: from, length.
_Done = tuple[tuple[tuple[str, Value], ...], float, float]


class FmuVariables:
    """What an FMU's description tells; nothing of its code is loaded."""

    def __init__(self, bench: Bench, table: PlantTable) -> None:
        """ConfigError if it is none that can be run here."""
        self._fmpy = _fmpy(bench, table)
        self._file = Path(bench.path(str(table.fmu)))
        self._bench, self._path = bench, (*table.path, "fmu")
        if not self._file.is_file():
            raise self._wrong("there is no such file")
        try:
            self._about = self._fmpy.read_model_description(str(self._file))
        except Exception as error:
            raise self._wrong(_words(error)) from error
        if self._about.coSimulation is None:
            raise self._wrong("it is for model exchange alone")
        self._version = int(self._about.fmiVersion.split(".")[0])
        if self._version not in _ALSO:
            raise self._wrong(f"FMI {self._about.fmiVersion}")
        self._variables = {v.name: v for v in self._about.modelVariables if not v.dimensions}

    def _wrong(self, what: str) -> ConfigError:
        return self._bench.error(self._path, f"{shown(self._file)}: {what}", _HELP)

    def names(self, causality: Causality) -> list[str]:
        return [name for name, about in self._variables.items() if about.causality == causality]

    def kind(self, name: str) -> type:
        return _KINDS.get(self._variables[name].type, bytes)


class FmuModel(FmuVariables):
    """An FMU, unpacked into a folder that goes with it."""

    def __init__(self, bench: Bench, name: str, table: PlantTable) -> None:
        """ConfigError if it is none that can be run here."""
        super().__init__(bench, table)
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="khs-fmu-"))
        self._said: list[str] = []
        self._start: Mapping[str, Value] = {}
        self._set: list[tuple[str, Value]] = []
        self._past: list[_Done] = []
        self._runs = False
        self._slave: Any = None
        try:
            self._fmpy.extract(str(self._file), str(self._folder))
            self._slave = self._load()
        except Exception as error:
            self.close()
            raise self._wrong(_words(error)) from error

    def _load(self) -> Any:
        from fmpy.fmi2 import FMU2Slave
        from fmpy.fmi3 import FMU3Slave

        return (FMU2Slave if self._version == 2 else FMU3Slave)(
            guid=self._about.guid if self._version == 2 else self._about.instantiationToken,
            unzipDirectory=str(self._folder),
            modelIdentifier=self._about.coSimulation.modelIdentifier,
            instanceName=self._name,
        )

    # ------------------------------------------------------------ variables

    def get(self, name: str) -> Value:
        value = self._call(f"get {name}", self._access("get", name), self._reference(name))[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        made: Value = self.kind(name)(value)
        return made

    def set(self, name: str, value: Value) -> None:
        self._set.append((name, value))
        self._call(f"set {name}", self._access("set", name), self._reference(name), [value])

    def _access(self, verb: str, name: str) -> Callable[..., Any]:
        kind = self._variables[name].type
        function: Callable[..., Any] = getattr(
            self._slave, verb + _ALSO[self._version].get(kind, kind)
        )
        return function

    def _reference(self, name: str) -> list[int]:
        return [self._variables[name].valueReference]

    # ------------------------------------------------------------ running

    def begin(self, start: Mapping[str, Value]) -> None:
        self._start = start
        self._past.clear()
        slave = self._slave
        self._call("instantiate", self._instantiate)
        self._runs = True
        if self._version == 2:
            self._call("setupExperiment", slave.setupExperiment, startTime=0.0)
        for name, value in start.items():
            self.set(name, value)
        self._call("enterInitializationMode", slave.enterInitializationMode)
        self._call("exitInitializationMode", slave.exitInitializationMode)
        self._set.clear()

    def _instantiate(self) -> None:
        if self._version == 3:
            self._slave.instantiate(logMessage=self._log)
            return
        from fmpy import calloc, fmi2, free

        callbacks = fmi2.fmi2CallbackFunctions()
        callbacks.logger = fmi2.fmi2CallbackLoggerTYPE(self._log)
        callbacks.allocateMemory = fmi2.fmi2CallbackAllocateMemoryTYPE(calloc)
        callbacks.freeMemory = fmi2.fmi2CallbackFreeMemoryTYPE(free)
        self._slave.instantiate(callbacks=callbacks)

    def _log(self, *said: Any) -> None:
        """The message comes last, in either version."""
        text = said[-1].decode("utf-8", "replace") if isinstance(said[-1], bytes) else ""
        self._said = [*self._said[-3:], " ".join(text.split())]

    def step(self, now: float, dt: float) -> None:
        if len(self._past) < _PAST_MOST:
            self._past.append((tuple(self._set), now, dt))
        self._set.clear()
        self._step(now, dt)

    def _step(self, now: float, dt: float) -> None:
        told = self._call(f"doStep at {now:.9g} s", self._slave.doStep, now, dt)
        if self._version == 3 and told is not None and (told[1] or told[2]):
            what = "ended the simulation" if told[1] else "came back early"
            raise PlantError(f"{self._where()}doStep at {now:.9g} s: it {what}")

    def _call(self, what: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self._said = []
        try:
            return function(*args, **named)
        except Exception as error:
            said = f": {'; '.join(self._said)}" if self._said else ""
            raise PlantError(f"{self._where()}{what}: {_words(error)}{said}") from error

    def _where(self) -> str:
        return f"{shown(self._file)}: the plant {self._name} failed: "

    # ------------------------------------------------------------ going back

    def save(self) -> Any:
        """Few FMUs can tell their state; the steps made so far lead to it again."""
        if len(self._past) >= _PAST_MOST:
            raise KhsError(f"{self._where()}no snapshots of an FMU beyond {_PAST_MOST} steps")
        return self._start, list(self._past), list(self._set)

    def restore(self, saved: Any) -> None:
        start, past, pending = saved
        self._end()
        if not past and not self._slave:
            return
        self.begin(start)
        for values, now, dt in past:
            for name, value in values:
                self.set(name, value)
            self._set.clear()
            self._step(now, dt)
        self._past = list(past)
        for name, value in pending:
            self.set(name, value)

    def _end(self) -> None:
        """The instance; the library stays."""
        if not self._runs:
            return
        self._runs = False
        with suppress(Exception):
            self._slave.terminate()
        free = self._slave.fmi2FreeInstance if self._version == 2 else self._slave.fmi3FreeInstance
        with suppress(Exception):
            free(self._slave.component)

    def close(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fmpy(bench: Bench, table: PlantTable) -> Any:
    try:
        import fmpy
    except ImportError as error:
        place = bench.place((*table.path, "fmu"))
        raise KhsError(
            f"{place}: FMPy is missing, which runs FMUs\n  help: pip install 'khs[hil]'"
        ) from error
    return fmpy
