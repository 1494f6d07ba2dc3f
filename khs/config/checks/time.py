"""Rules about times."""

from __future__ import annotations

import math

from khs.config.document import Keys
from khs.config.rules import Context, Problem, Problems, rule
from khs.config.units import Duration

SECOND = 1_000_000_000


@rule("TIME-001", Context.times)
def whole_ticks(c: Context, subject: tuple[Keys, Duration]) -> Problems:
    """A time is a whole number of ticks of the board's clock."""
    path, time = subject
    if c.board is not None and time.ns * c.board.clock_hz % SECOND:
        step = SECOND // math.gcd(SECOND, c.board.clock_hz)
        yield Problem(
            path,
            f'"{time}" is not a whole number of ticks of {c.board.name}',
            f'multiples of {step}ns are, as "{time.ns - time.ns % step}ns"',
        )
