"""What a trace file starts with; `khs.trace.names` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from khs.trace.file import Header
from khs.trace.symbols import functions


def header(
    *,
    manifest: Mapping[str, Any],
    names: Mapping[str, Any],
    policies: Sequence[Mapping[str, Any]],
    elfs: Mapping[str, bytes],
    run: Mapping[str, Any],
    outline: Mapping[str, Any],
) -> Header:
    """The header for an archive's parts; `run` says how it was run (engine, seed)."""
    return {
        "manifest": dict(manifest),
        "run": dict(run),
        "names": dict(names),
        "outline": dict(outline),
        "policies": [dict(policy) for policy in policies],
        "symbols": {name: functions(elf) for name, elf in elfs.items()},
    }
