"""What the `khs` command does when it is asked to end."""

from __future__ import annotations

import os
import signal
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """Lets it tidy up; while guests run, khs.engine.interrupt ends the run first."""
    raise SystemExit(128 + number)


def starting() -> None:
    """From here on Ctrl-C ends the command in one line, as `started` commands do themselves."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        signal.signal(signal.SIGINT, _early)


def started() -> None:
    """The command looks after itself."""
    if signal.getsignal(signal.SIGINT) is _early:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _early(number: int, frame: FrameType | None) -> None:
    os.write(2, b"khs: interrupted\n")
    raise SystemExit(128 + number)
