"""The checks, one module a subject. Importing this package registers all rules."""

from __future__ import annotations

from khs.config.checks import (
    board,
    channel,
    health,
    input,
    machine,
    names,
    partition,
    policy,
    run,
    schedule,
    space,
    time,
)
from khs.config.checks.release import releasable

__all__ = [
    "board",
    "channel",
    "health",
    "input",
    "machine",
    "names",
    "partition",
    "policy",
    "releasable",
    "run",
    "schedule",
    "space",
    "time",
]
