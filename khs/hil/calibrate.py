"""Whether this machine can run a system in real time, found out before it is to."""

from __future__ import annotations

from typing import Protocol

from khs.engine.result import Result
from khs.hil.pace import Clock, WallClock

#: Frames that are not measured: engines start, and code is translated.
WARM_UP = 2
FRAMES_MOST = 50
ENOUGH_NS = 200_000_000


class Trial(Protocol):
    """A machine to be thrown away."""

    def run(self, frames: int) -> Result: ...


def ratio(trial: Trial, clock_hz: int, clock: Clock | None = None) -> float | None:
    """Virtual time for each second on the wall, as fast as the machine can; None if the system
    stops at once. KeyboardInterrupt."""
    clock = clock or WallClock()
    first = _ran(trial, WARM_UP)
    began, last = clock.now(), first
    for _ in range(FRAMES_MOST):
        before, last = last, _ran(trial, 1)
        if last.ticks == before.ticks or clock.now() - began >= ENOUGH_NS:
            break
    taken, passed = clock.now() - began, last.ticks - first.ticks
    return passed * 1_000_000_000 / clock_hz / taken if passed and taken > 0 else None


def _ran(trial: Trial, frames: int) -> Result:
    result = trial.run(frames)
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def warning(ratio: float | None) -> str:
    """What to say of a pace that cannot be held; "" of one that can."""
    if ratio is None or ratio >= 1:
        return ""
    return (
        f"this machine runs the system at {ratio:.2f} of real time: frames will end late\n"
        "  help: --pace fast, or windows that leave the guests less to do"
    )
