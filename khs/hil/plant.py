"""Plants in Python, and what is asked of any plant."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

from khs.engine import interrupt
from khs.engine.copies import copied
from khs.errors import KhsError, raised_at

Value = float | int | bool | str
Causality = Literal["input", "output", "parameter"]


class Plant:
    """A plant: derive from it. Its variables are attributes, which have values of their types from
    `__init__` on; parameters are set before the first step.

    A plant that looks at nothing but its attributes and `dt` makes the same run each time.
    """

    #: Methods that there have to be.
    _needed: ClassVar[frozenset[str]] = frozenset({"step"})

    def step(self, dt: float) -> None:
        """`dt` seconds of virtual time pass: from inputs to outputs."""


class PlantError(KhsError):
    """A plant cannot go on."""


def checked(value: Any, kind: type) -> Value:
    """What a variable of that type has, whatever code of users has put there. PlantError if it is
    neither a number nor, of a text, a text."""
    if kind is str:
        if not isinstance(value, str):
            raise PlantError("it is no text, as it was at first")
        return value
    if not any(hasattr(type(value), name) for name in ("__float__", "__index__")):
        raise PlantError("it is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise PlantError("it is greater than any number of 64 bits") from error
    except Exception as error:
        raise PlantError(f"it is no number: {error}") from error
    return value if isinstance(value, int | float) else number


def words(value: Any) -> str:
    """A value as errors have it, which may be long, or have no words of its own."""
    try:
        return reprlib.repr(value)
    except Exception:
        return f"of type {type(value).__name__}"


class Variables(Protocol):
    """What is known of a plant that does not run."""

    def names(self, causality: Causality) -> list[str]:
        """The variables that may be wired, or set."""
        ...

    def kind(self, name: str) -> type | None:
        """float, int, bool or str; None if that is not known yet."""
        ...


class Model(Variables, Protocol):
    """A plant as the loop sees it. PlantError if it cannot do what it is asked."""

    def kind(self, name: str) -> type: ...

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


_COPYING = "an attribute that copy.deepcopy takes, or __deepcopy__ in its class"


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
        value: Value = self._call(getattr, self._plant, name)
        return value

    def set(self, name: str, value: Value) -> None:
        self._call(setattr, self._plant, name, value)

    def step(self, now: float, dt: float) -> None:
        self._call(self._plant.step, dt)

    def save(self) -> Any:
        return copied(self._plant, vars(self._plant), _COPYING)

    def restore(self, saved: Any) -> None:
        vars(self._plant).clear()
        vars(self._plant).update(copy.deepcopy(saved))

    def close(self) -> None:
        pass

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Code of users. Interrupted, if it did not return after a signal."""
        inside = interrupt.inside
        try:
            inside.what = f"the plant {self._name}"
            value = function(*arguments)
            inside.what = ""
        except interrupt.Interrupted as error:
            interrupt.latest.interrupted(error)
            raise
        except (Exception, SystemExit) as error:
            inside.what = ""
            raise self._failed(error) from error
        return value

    def _failed(self, error: BaseException) -> PlantError:
        at = raised_at(error, __file__)
        where = f"{at}: " if at else ""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return PlantError(f"{where}the plant {self._name} failed: {what}")
