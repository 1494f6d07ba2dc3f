"""Places in the message: which bytes they may be, and what is known of them.

Quantities of a message are called by path: `message.items.[0].id`, `size of message.items`, `tag of
message.either`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from kss import layout, tree, types
from kss.analysis.texts import Texts
from kss.analysis.values import (
    ANYTHING,
    FAILURE,
    Choices,
    Domain,
    Fails,
    Known,
    Numbers,
    Row,
    Value,
    compared,
    join,
)

MOST_ELEMENTS = 64  # of a list that are looked at one by one


class Places:
    """Places, given what looks quantities up, what evaluates an index, and the texts there may be
    (None: of texts nothing is known)."""

    def __init__(
        self,
        look: Callable[[Hashable, Domain], Domain],
        value: Callable[[tree.Expression], Known],
        texts: Texts | None,
    ) -> None:
        self._look = look
        self._value = value
        self._texts = texts

    def value(self, place: tree.Place) -> Known:
        paths, fails = self._at(place)
        if fails is Fails.ALWAYS:
            return FAILURE
        values = [self._read(path, place.wire) for path in paths]
        return Known(join(values) if values else ANYTHING, fails)

    def size(self, place: tree.Place) -> Known:
        """The number of elements of a list."""
        paths, fails = self._at(place)
        sizes = [self._count(path, place.wire) for path in paths or (None,)]
        return FAILURE if fails is Fails.ALWAYS else Known(join(sizes), fails)

    def _at(self, place: tree.Place) -> tuple[list[str], Fails]:
        """The paths that a place may have, none if they are too many."""
        paths, fails = ["message"], Fails.NEVER
        wire: layout.WireType | None = None  # what the next step leads into
        for step in place.steps:
            failed = Fails.NEVER
            if isinstance(step, tree.ElementStep):
                assert wire is not None
                paths, failed = self._elements(paths, wire, step)
            else:
                if isinstance(step, tree.MemberStep):
                    assert isinstance(wire, layout.Union)
                    failed = self._lacks(paths, wire, step.tag)
                paths = [f"{path}.{step.name}" for path in paths]
            if failed is Fails.ALWAYS:
                return [], failed
            fails, wire = max(fails, failed), step.wire
        return paths, fails

    def _lacks(self, paths: list[str], wire: layout.Union, tag: int) -> Fails:
        """Whether the unions lack a member."""
        last = max(len(wire.members) - 1, 0)
        tags = [self._look(f"tag of {path}", Numbers(0, last)) for path in paths]
        found = {compared("eq", each, Numbers(tag, tag)) for each in tags} or {None}
        if found == {True}:
            return Fails.NEVER
        return Fails.ALWAYS if found == {False} else Fails.MAYBE

    def _elements(
        self, paths: list[str], wire: layout.WireType, step: tree.ElementStep
    ) -> tuple[list[str], Fails]:
        """The paths of an element, and whether there is none."""
        index = self._value(step.index)
        if index.fails is Fails.ALWAYS:
            return [], Fails.ALWAYS
        assert isinstance(index.value, Numbers)
        low, high = index.value.low, index.value.high
        found: list[str] = []
        inside: set[bool | None] = set()
        few = bool(paths)
        for path in paths or (None,):
            count = self._count(path, wire)
            below = compared("lt", index.value, count) if high >= 0 else False
            inside.add(None if below and low < 0 else below)
            first, last = max(low, 0), min(high, count.high - 1)
            few = few and last - first < MOST_ELEMENTS
            found += [f"{path}.[{i}]" for i in range(first, last + 1)] if few else []
        if inside == {False}:
            return [], Fails.ALWAYS
        fails = Fails.NEVER if inside == {True} else Fails.MAYBE
        return found if few and len(found) <= MOST_ELEMENTS else [], max(fails, index.fails)

    def _count(self, path: str | None, wire: layout.WireType) -> Numbers:
        """The number of elements."""
        match wire:
            case layout.Array(_, count):
                return Numbers(count, count)
            case layout.Sequence(_, limit) | layout.Bytes(limit) if path is None:
                return Numbers(0, limit)
            case layout.Sequence(_, limit) | layout.Bytes(limit):
                found = self._look(f"size of {path}", Numbers(0, limit))
                assert isinstance(found, Numbers)
                return found
        raise AssertionError(wire)

    def _read(self, path: str, wire: layout.WireType) -> Value:
        match wire:
            case layout.Integer(bits, signed):
                kind = types.IntegerType(bits, signed)
                return self._look(path, Numbers(kind.low, kind.high))
            case layout.String(limit):
                return self._text(path, limit)
            case layout.Array(element) | layout.Sequence(element):
                return self._list(path, wire, element)
            case layout.Bytes():
                return self._list(path, wire, layout.Integer(8, False))
        return ANYTHING

    def _text(self, path: str, limit: int) -> Value:
        if self._texts is None:
            return ANYTHING
        found = self._look(path, self._texts.of(limit))
        assert isinstance(found, Choices)
        return ANYTHING if found.partial else found

    def _list(self, path: str, wire: layout.WireType, element: layout.WireType) -> Value:
        count = self._count(path, wire)
        if count.low != count.high or count.low > MOST_ELEMENTS:
            return ANYTHING
        return Row(tuple(self._read(f"{path}.[{i}]", element) for i in range(count.low)))
