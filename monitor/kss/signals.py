"""Ctrl-C while the `kss` command loads its modules."""

from __future__ import annotations

import os
import signal
from types import FrameType


def starting() -> None:
    """From here on Ctrl-C ends the command in one line, as `started` commands do themselves."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        signal.signal(signal.SIGINT, _early)


def started() -> None:
    """The command looks after itself."""
    if signal.getsignal(signal.SIGINT) is _early:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _early(number: int, frame: FrameType | None) -> None:
    os.write(2, b"kss: interrupted\n")
    raise SystemExit(128 + number)
