"""Plants in Python, and what is asked of any plant."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from khs.errors import KhsError, shown

Value = float | int | bool | str
Causality = Literal["input", "output", "parameter"]


class Plant:
    """A plant: derive from it. Its variables are attributes, which have values of their types from
    `__init__` on; parameters are set before the first step.

    A plant that looks at nothing but its attributes and `dt` makes the same run each time.
    """

    def step(self, dt: float) -> None:
        """`dt` seconds of virtual time pass: from inputs to outputs."""


class PlantError(KhsError):
    """A plant cannot go on."""


class Model(Protocol):
    """A plant as the loop sees it. PlantError if it cannot do what it is asked."""

    def names(self, causality: Causality) -> list[str]:
        """The variables that may be wired, or set."""
        ...

    def kind(self, name: str) -> type:
        """float, int, bool or str."""
        ...

    def begin(self, start: Mapping[str, Value]) -> None:
        """Parameters are set, and time begins."""
        ...

    def get(self, name: str) -> Value: ...
    def set(self, name: str, value: Value) -> None: ...
    def step(self, now: float, dt: float) -> None:
        """From `now` on, in seconds."""
        ...

    def save(self) -> Any:
        """Its state, for a snapshot."""
        ...

    def restore(self, saved: Any) -> None: ...
    def close(self) -> None: ...


class PythonModel:
    """A plant in Python."""

    def __init__(self, name: str, plant: Plant) -> None:
        self._name, self._plant = name, plant

    def names(self, causality: Causality) -> list[str]:
        return [key for key in dir(self._plant) if not key.startswith("_") and self._is_value(key)]

    def _is_value(self, key: str) -> bool:
        if key in vars(self._plant):
            return isinstance(getattr(self._plant, key), Value)
        of_class = getattr(type(self._plant), key)
        return isinstance(of_class, Value | property)

    def kind(self, name: str) -> type:
        return type(self.get(name))

    def begin(self, start: Mapping[str, Value]) -> None:
        for name, value in start.items():
            self.set(name, value)

    def get(self, name: str) -> Value:
        try:
            value: Value = getattr(self._plant, name)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def set(self, name: str, value: Value) -> None:
        try:
            setattr(self._plant, name, value)
        except Exception as error:
            raise self._failed(error) from error

    def step(self, now: float, dt: float) -> None:
        try:
            self._plant.step(dt)
        except Exception as error:
            raise self._failed(error) from error

    def save(self) -> Any:
        return copy.deepcopy(vars(self._plant))

    def restore(self, saved: Any) -> None:
        vars(self._plant).clear()
        vars(self._plant).update(copy.deepcopy(saved))

    def close(self) -> None:
        pass

    def _failed(self, error: Exception) -> PlantError:
        frames = traceback.extract_tb(error.__traceback__)
        at = next((f for f in reversed(frames) if Path(f.filename) != Path(__file__)), None)
        where = "" if at is None else f"{shown(at.filename)}:{at.lineno}: "
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return PlantError(f"{where}the plant {self._name} failed: {what}")
