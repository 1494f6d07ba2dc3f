"""Everybody outside whom a run meets: plants, and who keeps time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from khs.engine.lines import Exchange, Party
from khs.hil import plants
from khs.hil.pace import RealTime
from khs.hil.plants import PlantLoop, Wired

if TYPE_CHECKING:
    from khs.attached import Attached


class Around:
    """False if there is nobody."""

    def __init__(self, attached: Attached, manifest: Mapping[str, Any], wired: Wired) -> None:
        self._attached, self._manifest, self._wired = attached, manifest, wired
        self._loops: list[PlantLoop] = []
        self._real: RealTime | None = None
        self._is_real = (attached.pace or ("real" if attached.live else "fast")) == "real"

    @staticmethod
    @contextmanager
    def opened(attached: Attached, manifest: Mapping[str, Any]) -> Iterator[Around]:
        """Plants live as long as this. KhsError if one cannot be had."""
        with ExitStack() as stack:
            wired: Wired = lambda exchange, manifest: []  # noqa: E731
            if attached.bench is not None:
                wired = stack.enter_context(plants.opened(attached.bench))
            yield Around(attached, manifest, wired)

    def __bool__(self) -> bool:
        return self._is_real or self._attached.plants

    def meet(self, exchange: Exchange) -> list[Party]:
        """Those to be met, in this order."""
        self._loops = self._wired(exchange, self._manifest)
        if not self._is_real:
            return [*self._loops]
        attached = self._attached
        self._real = RealTime(exchange, live=attached.live, most_ns=attached.most_slip_ns)
        return [*self._loops, self._real]

    @property
    def failure(self) -> str:
        """Why one of them ended the run; "" if none did."""
        told = [loop.failure for loop in self._loops]
        if self._real is not None:
            told.append(self._real.failure)
        return next((failure for failure in told if failure), "")

    @property
    def loops(self) -> dict[str, PlantLoop]:
        """The plants by name, once they are met."""
        return {loop.name: loop for loop in self._loops}

    def plants(self) -> dict[str, Any] | None:
        """Steps of each plant."""
        return {loop.name: {"steps": loop.steps} for loop in self._loops} or None

    def slip(self) -> dict[str, Any] | None:
        """Of a run in real time, how late its frames were."""
        return None if self._real is None else {"pace": "real", **self._real.slip.to_json()}
