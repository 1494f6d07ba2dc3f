"""What a system lets exist beside its policy: processes, and links between them.

{"processes": {"sensor": "plant.Sensor", "logger": "plant.Logger"},
 "links": [
   {"name": "channel temperature", "from": "sensor", "to": "logger", "endpoint": "telemetry",
    "method": "Report"},
   {"name": "channel log", "from": "sensor", "to": "logger", "endpoint": "log", "answers": true},
   {"name": "region capture", "from": "sensor", "to": "logger"}]}

A link with an endpoint carries requests to it (all methods unless one is named), which the policy
judges, and the answers if it says so. One without is judged by nobody: shared memory, a wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kss.errors import KssError, did_you_mean
from kss.strict import JsonError, loads

MOST_BYTES = 16 << 20
_KEYS = {"name": str, "from": str, "to": str, "endpoint": str, "method": str, "answers": bool}
_NEEDED = ("name", "from", "to")


class SystemFileError(KssError):
    """A description of a system has the wrong form."""


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    source: str
    target: str
    endpoint: str | None = None
    method: str | None = None
    answers: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """`processes` is name -> class."""

    processes: Mapping[str, str]
    links: tuple[Link, ...]


def read_system(path: Path) -> System:
    """Reads a description from a file. Raises KssError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SystemFileError(f"{path}: it is larger than {MOST_BYTES} bytes")
        return parse_system(loads(data), str(path))
    except OSError as error:
        raise SystemFileError(f"cannot read {path}: {error.strerror or error}") from None
    except JsonError as error:
        raise SystemFileError(f"{path}: no JSON: {error}") from None


def parse_system(document: Any, where: str) -> System:
    """Checks a description; `where` is what findings call it. Raises KssError."""
    table = _table(document, where, ("processes", "links"))
    processes = table.get("processes", {})
    if not isinstance(processes, dict) or not all(isinstance(c, str) for c in processes.values()):
        raise SystemFileError(f"{where}: processes is an object of names and classes")
    links = table.get("links", [])
    if not isinstance(links, list):
        raise SystemFileError(f"{where}: links is a list")
    found = (_link(link, f"{where}: links[{n}]", processes) for n, link in enumerate(links))
    return System(processes, tuple(found))


def _link(given: Any, where: str, processes: Mapping[str, str]) -> Link:
    table = _table(given, where, tuple(_KEYS))
    for key, kind in _KEYS.items():
        if key in table and not isinstance(table[key], kind):
            word = "text" if kind is str else "Boolean"
            raise SystemFileError(f"{where}: {key} is a {word}, not {table[key]!r}")
    for key in _NEEDED:
        if key not in table:
            raise SystemFileError(f"{where}: {key} is missing")
    for key in ("from", "to"):
        if table[key] not in processes:
            help = did_you_mean(table[key], processes)
            raise SystemFileError(f"{where}: {key}: there is no process {table[key]}; {help}")
    judged = {key: table[key] for key in ("endpoint", "method", "answers") if key in table}
    if judged and "endpoint" not in judged:
        raise SystemFileError(f"{where}: {', '.join(judged)} needs an endpoint")
    return Link(table["name"], table["from"], table["to"], **judged)


def _table(given: Any, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise SystemFileError(f"{where}: an object is needed, with {', '.join(keys)}")
    for key in given:
        if key not in keys:
            raise SystemFileError(f"{where}: unknown key {key}; {did_you_mean(key, keys)}")
    return given
