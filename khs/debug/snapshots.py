"""Moments of a run to go on from again: as many as keep it quick to go back, as few as keep
recording cheap and memory bounded.

How often one is kept depends on what it costs in host time. The older they are, the fewer are
left: gaps grow with the distance from the newest. None of this has an influence on the run.
"""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass
from typing import Any

from khs.debug.stops import Position
from khs.engine.devices import Devices
from khs.engine.log import Mark
from khs.engine.native import NEVER
from khs.engine.stepping import Stepper

#: Of host time that keeping moments may take; stopping the guests for it costs as much again.
SHARE = 0.01
LEAST_TICKS = 10_000
BUDGET_BYTES = 256 << 20
#: A gap may be so much of the distance to the newest moment; more if they are too many bytes.
GAP = 1 / 64
GAP_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Moment:
    """A point to go on from: what came before it, the library's snapshot, and the state of models
    in Python."""

    position: Position
    mark: Mark
    changes: int
    snapshot: int
    models: dict[str, Any]


class Moments:
    """Those of one run, in its order. The first is never given up."""

    def __init__(self, stepper: Stepper, devices: Devices, budget: int) -> None:
        """`budget`: bytes, 0 for no moment but the first."""
        self._stepper, self._devices, self._budget = stepper, devices, budget
        self._moments: list[Moment] = []
        self._gap = GAP
        self._crowd = 256  # so many are looked through
        self._interval = LEAST_TICKS
        self._cost = 0.0
        self._since = (Position(0), time.perf_counter())

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def bytes(self) -> int:
        return self._stepper.kept()

    # ------------------------------------------------------------ when

    def next(self, position: Position) -> int:
        """Tick at which one is to be kept, on the way from there."""
        if not self._moments or not self._budget:
            return NEVER
        return self.latest(position).position.tick + self._interval

    def is_due(self) -> bool:
        """Whether it took longer since the last one than was expected."""
        return (
            self._budget > 0
            and time.perf_counter() - self._since[1] > 2 * self._cost / SHARE + 0.02
        )

    def resume(self, position: Position) -> None:
        """The run goes on from there; the time before does not count."""
        self._since = (position, time.perf_counter())

    # ------------------------------------------------------------ keeping

    def keep(self, position: Position, mark: Mark, changes: int) -> None:
        """The system stands there. A moment that is there already stays."""
        at = bisect.bisect_left(self._moments, position, key=lambda moment: moment.position)
        if at < len(self._moments) and self._moments[at].position == position:
            return
        began = time.perf_counter()
        ran, ticks = began - self._since[1], position.tick - self._since[0].tick
        models, snapshot = self._devices.save(), self._stepper.snapshot()
        self._moments.insert(at, Moment(position, mark, changes, snapshot, models))
        if len(self._moments) > self._crowd or self.bytes > self._budget:
            self._thin()
        now = time.perf_counter()
        self._cost += (now - began - self._cost) / 4
        self._since = (position, now)
        if ticks > 0:
            wanted = int(self._cost / SHARE * ticks / max(ran, 1e-9))
            self._interval = max(LEAST_TICKS, min(wanted, 4 * self._interval))

    def _thin(self) -> None:
        """Gives up moments that are close to others, for their age; more until they fit."""
        while len(self._moments) > 2:
            self._thin_once()
            if self.bytes <= self._budget or self._gap >= GAP_MOST:
                break
            self._gap *= 2
        self._crowd = len(self._moments) + 256

    def _thin_once(self) -> None:
        kept = [self._moments[-1]]
        newest = kept[0].position.tick
        for moment in reversed(self._moments[1:-1]):
            age = newest - moment.position.tick
            if kept[-1].position.tick - moment.position.tick >= max(1, int(age * self._gap)):
                kept.append(moment)
            else:
                self._stepper.forget(moment.snapshot)
        self._moments = [*self._moments[:1], *reversed(kept)]

    # ------------------------------------------------------------ going back

    def latest(self, position: Position) -> Moment:
        """The last one that is not behind the position."""
        at = bisect.bisect_right(self._moments, position, key=lambda moment: moment.position)
        return self._moments[max(at - 1, 0)]

    def before(self, position: Position) -> Moment:
        """The last one before the position, or the first."""
        at = bisect.bisect_left(self._moments, position, key=lambda moment: moment.position)
        return self._moments[max(at - 1, 0)]

    def restore(self, position: Position) -> Moment:
        """Takes the system to the last moment that is not behind the position."""
        moment = self.latest(position)
        self._stepper.restore(moment.snapshot)
        self._devices.restore(moment.models)
        self.resume(moment.position)
        return moment

    def cut(self, position: Position) -> None:
        """Those behind the position are of a run that will not be."""
        while self._moments[-1].position > position:
            self._stepper.forget(self._moments.pop().snapshot)

    def close(self) -> None:
        """Gives up all."""
        while self._moments:
            self._stepper.forget(self._moments.pop().snapshot)
