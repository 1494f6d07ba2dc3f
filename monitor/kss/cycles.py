"""Types of a package that contain themselves, by way of others or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kss.grammar.idl import Declaration, GenericType, Record, Typedef, TypeUse


class Cycles:
    """Which declared types hold which, whatever their order."""

    def __init__(self, declarations: Iterable[Declaration]) -> None:
        self._holds: dict[str, tuple[str, ...]] = {}
        for item in declarations:
            if isinstance(item, Typedef):
                self._holds.setdefault(item.name.value, tuple(_names(item.type)))
            elif isinstance(item, Record):
                held = (name for kind, _ in item.members for name in _names(kind))
                self._holds.setdefault(item.name.value, tuple(held))

    def through(self, outer: str, inner: str) -> tuple[str, ...]:
        """The shortest way from a type by way of one that it holds back to itself, the type at both
        ends; () if there is none."""
        before: dict[str, str] = {inner: outer}
        level = [inner]
        while level and outer not in level:
            found: list[str] = []
            for name in level:
                for held in self._holds.get(name, ()):
                    if held not in before:
                        before[held] = name
                        found.append(held)
            level = found
        if outer not in level:
            return ()
        way = [outer]
        while way[-1] != inner:
            way.append(before[way[-1]])
        return (outer, *reversed(way))


def _names(kind: TypeUse) -> Iterator[str]:
    """The type that a written type names: its own, or that of its elements."""
    while isinstance(kind, GenericType) and kind.element is not None:
        kind = kind.element
    if not isinstance(kind, GenericType):
        yield kind.word.value
