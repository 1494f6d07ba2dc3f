"""The security models: one file each, found by itself."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeGuard

from kss.models.model import Model


def _found() -> Iterator[Model]:
    """One of each subclass of Model that a module of this package defines, by module name."""
    for name in sorted(info.name for info in iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        own = (item for item in vars(module).values() if _is_from(item, module.__name__))
        yield from (kind() for kind in own if issubclass(kind, Model) and kind is not Model)


def _is_from(item: object, module: str) -> TypeGuard[type]:
    return isinstance(item, type) and item.__module__ == module


MODELS: dict[str, Model] = {model.name: model for model in _found()}

# nk.basic and nk.base imply each other: published policies rely on both readings.
_BASIC = ("nk.basic", "nk.base")
# nk file -> the models that it provides
FILES: dict[str, tuple[str, ...]] = {
    file: tuple(
        model.name
        for model in MODELS.values()
        if model.file == file or {model.file, file} <= set(_BASIC)
    )
    for file in sorted({model.file for model in MODELS.values()} - {""})
}

# operator -> the model that it belongs to
OPERATORS: dict[str, Model] = {
    symbol: model for model in MODELS.values() for symbol in model.operators
}
