"""JSON from anybody's hands: one meaning or an error, in words of its own.

Python's reader takes the last of equal keys, which another reader may not, and tells of its own
limits where a text exceeds them.
"""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 100  # of lists and objects in each other
MAX_DIGITS = 1000
_SHOWN = 200


class JsonError(ValueError):
    """A text is no JSON, or more than anybody needs."""


def loads(text: str | bytes) -> Any:
    """The value that a text is. Raises JsonError, also for a key that is given twice, NaN and
    infinities."""
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise error if isinstance(error, JsonError) else JsonError(str(error)) from None
    _must_be_shallow(value)
    return value


def shown(value: object) -> str:
    """A value in a message, whatever it is."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # of an integer with more digits than Python writes
        return f"a value of {type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f"the key {shown(key)} is given twice")
        found[key] = value
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise JsonError(f"an integer of {len(text)} digits, at most {MAX_DIGITS}")
    return int(text)


def _constant(word: str) -> Any:
    raise JsonError(f"{word} is no number of JSON")


def _must_be_shallow(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            raise _too_deep()
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]


def _too_deep() -> JsonError:
    return JsonError(f"lists and objects nest more than {MAX_DEPTH} deep")
