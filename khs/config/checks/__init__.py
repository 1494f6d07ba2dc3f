"""The checks, one module a subject. Importing this package registers all rules."""

from __future__ import annotations

from khs.config.checks import (
    board,
    channel,
    health,
    input,
    names,
    partition,
    policy,
    run,
    schedule,
    space,
    time,
)
from khs.config.checks.release import pinned

__all__ = [
    "board",
    "channel",
    "health",
    "input",
    "names",
    "partition",
    "pinned",
    "policy",
    "run",
    "schedule",
    "space",
    "time",
]
