"""Models in Python of recorded runs: which file each was, and whether that is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from khs.errors import shown
from khs.hil.models import split


def keep(places: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """For run.json: by PARTITION.DEVICE, FILE[:CLASS] with its whole path, and the file's hash."""
    return {name: _row(place) for name, place in places.items()}


def _row(place: str) -> dict[str, str]:
    path, chosen = split(place)
    whole = f"{path.absolute()}:{chosen}" if chosen else str(path.absolute())
    return {"place": whole, "sha256": _hash(path)}


def _hash(path: Path) -> str:
    """Of what is no file any more: none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def check(rows: Any) -> None:
    """ValueError and the like unless they have the shape that `keep` gives them."""
    for name, row in rows.items():
        if not all(isinstance(text, str) for text in (name, row["place"], row["sha256"])):
            raise ValueError("models are no texts")


def places(rows: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """FILE[:CLASS] of each."""
    return {name: row["place"] for name, row in rows.items()}


def others(rows: Mapping[str, Mapping[str, str]], given: Mapping[str, str]) -> list[str]:
    """What to tell of `given` models that are not those of the recorded run."""
    told = []
    for name, place in given.items():
        path, row = split(place)[0], rows.get(name)
        if row is None:
            told.append(f"{name}: the recorded run had no model of it in Python")
        elif path.is_file() and _hash(path) != row["sha256"]:
            told.append(f"{name}: {shown(path)} is not what it was in the recorded run")
    return told
