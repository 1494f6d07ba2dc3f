"""Copies of what objects of users have, for snapshots."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from khs.errors import EngineError, shown


def copied(owner: object, state: Mapping[str, Any], help: str) -> dict[str, Any]:
    """A deep copy of attributes of `owner`, such that what they share stays shared. EngineError
    that names the one that cannot be copied, with `help`."""
    try:
        return copy.deepcopy(dict(state))
    except Exception as error:
        name, why = _culprit(state) or ("it", error)
        kind = type(owner)
        what = f"{kind.__name__}.{name} cannot be kept for a snapshot: {why}"
        raise EngineError(f"{_file(kind)}{what}\n  help: {help}") from error


def _culprit(state: Mapping[str, Any]) -> tuple[str, Exception] | None:
    for name, value in state.items():
        try:
            copy.deepcopy(value)
        except Exception as error:
            return name, error
    return None


def _file(kind: type) -> str:
    """Of the class, as its functions tell."""
    own = (each.__code__ for each in vars(kind).values() if inspect.isfunction(each))
    return next((f"{shown(code.co_filename)}: " for code in own), "")
