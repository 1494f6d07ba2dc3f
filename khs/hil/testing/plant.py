"""A plant of the bench around the system under test."""

from __future__ import annotations

from typing import get_args

from khs.errors import KhsError
from khs.hil.plant import Causality, Value
from khs.hil.plants import PlantLoop


class PlantUnderTest:
    """`plant("drive")`: its variables as its model has them, between two steps."""

    def __init__(self, name: str, loop: PlantLoop) -> None:
        self.name = name
        self._loop = loop

    @property
    def steps(self) -> int:
        """That it has done."""
        return self._loop.steps

    def __getitem__(self, variable: str) -> Value:
        """`plant("drive")["speed"]`. KhsError if there is none."""
        self._check(variable)
        return self._loop.model.get(variable)

    def __setitem__(self, variable: str, value: Value) -> None:
        """A disturbance, say: what the plant makes of it for the system is recorded."""
        self._check(variable)
        self._loop.model.set(variable, value)

    def _check(self, variable: str) -> None:
        kinds: tuple[Causality, ...] = get_args(Causality)
        known = dict.fromkeys(name for kind in kinds for name in self._loop.model.names(kind))
        if variable not in known:
            raise KhsError(
                f"the plant {self.name} has no variable {variable}\n  help: {', '.join(known)}"
            )
