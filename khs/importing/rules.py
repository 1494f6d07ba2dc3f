"""What can be wrong with a solution as a whole; its files have the rules of KSS."""

from __future__ import annotations

from pathlib import Path

from khs.errors import ConfigError, Finding
from khs.monitor.files import Location

RULES = {
    "IMP-001": "There is one init description, or one is chosen with --init.",
    "IMP-002": "There is one nearest policy, or one is chosen with --policy.",
    "IMP-003": "The folder holds no more files than a solution may have.",
    "IMP-004": "The policy knows the class of every process.",
    "IMP-005": "The init description starts at least one process.",
    "IMP-006": "A chosen file is an init description or policy below the folder.",
}


def wrong(rule: str, at: Path | Location, message: str, help: str) -> ConfigError:
    """The error for one finding; a path is told without a line."""
    assert rule in RULES, rule
    place = at if isinstance(at, Location) else Location(str(at), 0, 0)
    return ConfigError(
        [Finding(rule, "error", place.file, place.line, place.column, message, help)]
    )
