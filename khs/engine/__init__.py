"""Engines: what runs a system. All give the same event stream and the same result."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from khs.engine.result import PartitionResult, Result
from khs.errors import EngineError

__all__ = ["Engine", "PartitionResult", "Result", "engines", "open"]

#: Name -> where its class is; imported when it is asked for.
_ENGINES = {"unicorn": ("khs.engine.unicorn", "Machine")}


class Engine(Protocol):
    """A loaded system, whatever runs it; see `khs.engine.unicorn.Machine`."""

    engine: str

    def run(self, frames: int, *, sink: Any = None, progress: Any = None) -> Result: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


def engines() -> list[str]:
    """Names that `open` takes."""
    return list(_ENGINES)


def open(archive: Any, engine: str = "unicorn", **options: Any) -> Engine:
    """Loads `archive` (a `khs.image.Archive`). `options` are those of the engine's class.

    Raises EngineError if there is no such engine or it cannot run the archive.
    """
    if engine not in _ENGINES:
        raise EngineError(f"there is no engine {engine!r}; there is {', '.join(_ENGINES)}")
    module, name = _ENGINES[engine]
    made: Engine = getattr(import_module(module), name)(archive, **options)
    return made
