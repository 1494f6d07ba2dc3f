"""Signals while guests run: the first ends the run in order, a second one the hard way.

Python code of users runs inside of the run, as models of devices and plants. After a signal it has
a moment to return; then `Interrupted` is raised in it, and the run ends in order even so.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from khs.errors import raised_at
from khs.signals import leave

#: Seconds that code of users has to return.
GRACE_S = 0.5
#: Whoever is called back by libkhs: an exception that begins there goes nowhere.
_CALLED_BACK = "khs.engine.device"


class Interrupted(BaseException):
    """Raised in code of users that does not return after a signal."""


@dataclass(slots=True)
class Inside:
    """`what`: whose code runs now, for which `Interrupted` is caught; "" while none does."""

    what: str = ""


#: Of this process. An object, because classes are slow to write to, and every access is noted.
inside = Inside()


class Ending:
    """How signals ended the latest run: by `number`, 0 if none did; `where` code of users was that
    had to be interrupted for it."""

    def __init__(self) -> None:
        self.number: int = 0
        self.where = ""

    def interrupted(self, error: Interrupted) -> None:
        """It was."""
        self.where = f"{inside.what} was in {raised_at(error, __file__) or 'a call'}"
        inside.what = ""

    @property
    def words(self) -> str:
        return f"interrupted; {self.where}" if self.where else "interrupted"

    @property
    def code(self) -> int:
        """What a command ends with then."""
        return 128 + (self.number or signal.SIGINT)


#: Of this process, as signals are.
latest = Ending()


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` on SIGINT, and on signals that `khs.signals.leave` handles; in the main thread
    only: other threads never see a signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = _Signals(stop)
    try:
        yield
    finally:
        signals.end()


class _Signals:
    def __init__(self, stop: Callable[[], None]) -> None:
        global latest
        latest = Ending()
        self._stop, self._timed, self._raised = stop, False, False
        self._before: dict[int, Any] = {int(signal.SIGINT): signal.getsignal(signal.SIGINT)}
        leaving = (signal.SIGTERM, signal.SIGHUP)
        self._before |= {each: leave for each in leaving if signal.getsignal(each) is leave}
        for number in self._before:
            signal.signal(number, self._handle)

    def end(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._timed:
            signal.setitimer(signal.ITIMER_REAL, *self._timer)
            signal.signal(signal.SIGALRM, self._alarm)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not latest.number:
            latest.number = number
            self._stop()
            self._alarm = signal.signal(signal.SIGALRM, self._look)
            self._timer = signal.setitimer(signal.ITIMER_REAL, GRACE_S, GRACE_S)
            self._timed = True
        elif self._raised and inside.what:  # whose code has caught what was to end it
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif inside.what:
            self._look(number, frame)
        elif callable(before := self._before[number]) and not _is_called_back(frame):
            signal.signal(number, before)
            before(number, frame)

    def _look(self, number: int, frame: FrameType | None) -> None:
        if inside.what:
            self._raised = True
            raise Interrupted


def _is_called_back(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") != _CALLED_BACK:
        frame = frame.f_back
    return frame is not None
