"""Times as tests give them: `"20ms"`, or nanoseconds."""

from __future__ import annotations

from typing import TypeAlias

from khs.config.units import Duration, UnitError
from khs.errors import KhsError

Time: TypeAlias = str | int


def ns(time: Time) -> int:
    """In nanoseconds. KhsError for what is no time."""
    if isinstance(time, int) and not isinstance(time, bool) and time >= 0:
        return time
    try:
        return Duration.parse(str(time)).ns
    except UnitError as error:
        raise KhsError(f"{error}\n  help: {error.help}") from error


def words(time_ns: int) -> str:
    """`12.5 ms`"""
    return f"{time_ns / 1_000_000:g} ms"
