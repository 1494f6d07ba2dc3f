"""How virtual time goes with the clock on the wall.

fast    as fast as the machine can
real    frames end when the clock says so; what comes in meanwhile comes in on time
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from khs.engine.lines import RATE, Exchange

#: A frame that ends later than that has missed its deadline.
LATE_US = 1000
#: Sleeping is not exact: what is left is waited for awake.
_AWAKE_NS = 300_000
_SWITCH_S = 0.0001
_NAP_NS = 50_000_000
#: Larger lateness is counted as this.
_MOST_US = 60_000_000


class Clock(Protocol):
    """Time that only goes forwards."""

    def now(self) -> int:
        """Nanoseconds."""
        ...

    def sleep(self, ns: int) -> None: ...


class WallClock:
    """CLOCK_MONOTONIC."""

    def now(self) -> int:
        return time.monotonic_ns()

    def sleep(self, ns: int) -> None:
        time.sleep(ns / 1e9)


@contextmanager
def prompt() -> Iterator[None]:
    """Other threads of Python, while they compute, give way sooner."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(_SWITCH_S, before))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Slip:
    """By how much frames ended later than the clock on the wall wanted."""

    def __init__(self) -> None:
        self._us: Counter[int] = Counter()
        self.frames = 0
        self.worst_ns = 0

    def add(self, ns: int) -> None:
        self.frames += 1
        self.worst_ns = max(self.worst_ns, ns)
        self._us[min(ns // 1000, _MOST_US)] += 1

    @property
    def late(self) -> int:
        """Frames later than 1 ms."""
        return sum(count for us, count in self._us.items() if us >= LATE_US)

    def percentile(self, percent: float) -> int:
        """Microseconds within which so many frames ended; 0 without frames."""
        wanted, seen = self.frames * percent / 100, 0
        for us in sorted(self._us):
            seen += self._us[us]
            if seen >= wanted:
                return us
        return 0

    def to_json(self) -> dict[str, Any]:
        shares = {f"p{p:g}_us".replace(".", "_"): self.percentile(p) for p in (50, 90, 99, 99.9)}
        return {"frames": self.frames, "late_frames": self.late, **shares,
                "worst_us": self.worst_ns // 1000}  # fmt: skip


class RealTime:
    """Virtual time is never ahead of the clock on the wall: at the ends of frames, and with live
    lines each time that they are looked after. `failure`: a frame slipped by more than it may."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        live: bool = False,
        most_ns: int | None = None,
        clock: Clock | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.slip = Slip()
        self.failure = ""
        self._exchange, self._live, self._most_ns = exchange, live, most_ns
        self._clock = clock or WallClock()
        self._stopping = stopping
        self._stride = max(exchange.clock_hz // RATE, 1)
        self._began: int | None = None
        self._frame_end = 0

    def next(self, tick: int) -> int:
        self._frame_end = self._exchange.window()[1]
        if not self._live:
            return self._frame_end
        return min((tick // self._stride + 1) * self._stride, self._frame_end)

    def hear(self, name: str, data: bytes) -> None:
        pass

    def save(self) -> None:
        pass

    def restore(self, saved: None, tick: int) -> None:
        """Its time begins anew from there."""
        self._began = self._clock.now() - self._ns(tick)

    def meet(self, tick: int) -> None:
        if self._began is None:
            self._began = self._clock.now() - self._ns(tick)
            return
        late = self._wait(self._began + self._ns(tick))
        if tick != self._frame_end:
            return
        self.slip.add(late)
        if self._most_ns is not None and late > self._most_ns and not self.failure:
            self.failure = (
                f"frame {self.slip.frames} ended {late / 1e6:.3f} ms late, "
                f"more than the {self._most_ns / 1e6:g} ms it may"
            )
            self._exchange.stop()

    def _ns(self, tick: int) -> int:
        return tick * 1_000_000_000 // self._exchange.clock_hz

    def _wait(self, deadline: int) -> int:
        """How late it was then."""
        while (left := deadline - self._clock.now()) > 0 and not self._stopping():
            if left > _AWAKE_NS:
                self._clock.sleep(min(left - _AWAKE_NS, _NAP_NS))
        return max(-left, 0)
