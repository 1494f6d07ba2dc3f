"""Where the data of a message lie: every bytes, string and sequence, and its region of the arena.

A message that is built with setters has a fixed region of the arena for each of them, in descending
alignment, so that setters may be called in any order and what fits the type fits the arena. The
members of a union share a region. A message that is received may be laid out otherwise: getters
follow the spans.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from kss import layout
from kss.layout import Field, MessageType, WireType, align_up

Steps = tuple[tuple[int, int], ...]  # (number of the index, bytes it moves by)


@dataclass(frozen=True)
class Tag:
    """A union's tag that must have a value, at a place as that of a spot."""

    offset: int
    strides: Steps
    value: int


@dataclass(frozen=True)
class Spot:
    """A span of a message and the region of its data.

    The span lies at `offset` plus index x stride for each of `strides`, counted from the start of
    the message, or from the data of the sequence `outer`. `limits` bound the index of each array
    and sequence around it, outermost first. `region` is the start of the data in the arena.
    """

    name: str
    wire: WireType
    limits: tuple[int, ...] = ()
    offset: int = 0
    strides: Steps = ()
    tags: tuple[Tag, ...] = ()
    outer: Spot | None = None
    region: int = 0
    steps: Steps = ()

    @property
    def capacity(self) -> int:
        """Bytes of the data at most."""
        if isinstance(self.wire, layout.Sequence):
            return self.wire.limit * self.wire.element.size
        return self.wire.arena

    @property
    def end(self) -> int:
        """Where the region of the last of them ends in the arena."""
        limits = zip(self.limits, self.steps, strict=True)
        return self.region + sum((limit - 1) * size for limit, (_, size) in limits) + self.capacity

    def indexed(self, limit: int, stride: int) -> Spot:
        strides = (*self.strides, (len(self.limits), stride))
        return replace(self, limits=(*self.limits, limit), strides=strides)


@dataclass(frozen=True)
class _Room:
    """Part of the arena: for a spot, or for whichever member a union has; once for each index
    from number `first` on."""

    first: int
    limits: tuple[int, ...]
    align: int
    size: int
    spot: Spot | None = None
    members: tuple[tuple[_Room, ...], ...] = ()

    @property
    def extent(self) -> int:
        return self.size * prod(self.limits)

    @property
    def steps(self) -> Steps:
        inner = range(len(self.limits))
        return tuple((self.first + n, self.size * prod(self.limits[n + 1 :])) for n in inner)


def spots(message: MessageType) -> list[Spot]:
    """Every span of a message, a sequence before what lies within it."""
    walk = _Walk()
    walk.fields(message.fields, Spot("", layout.Handle()), 0)
    placed: dict[str, Spot] = {}
    _place(walk.rooms, 0, (), placed)
    return [placed[name] for name in walk.names]


class _Walk:
    """Finds the spots of a message; `rooms` are those of the union at hand, or of the message."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.rooms: list[_Room] = []

    def fields(self, fields: Iterable[Field], base: Spot, first: int) -> None:
        for field in fields:
            self.reach(field.type, _within(base, field), first)

    def reach(self, wire: WireType, at: Spot, first: int) -> None:
        match wire:
            case layout.Struct():
                self.fields(wire.fields, at, first)
            case layout.Union():
                self.union(wire, at, first)
            case layout.Array(element, count):
                self.reach(element, at.indexed(count, element.size), first)
            case layout.Bytes() | layout.String():
                self.add(replace(at, wire=wire), 1, first)
            case layout.Sequence(element, limit):
                spot = self.add(replace(at, wire=wire), element.align, first)
                # what is directly an element has no name of its own
                name = at.name if isinstance(element, layout.Struct) else f"{at.name}_item"
                inside = Spot(name, wire, at.limits, outer=spot).indexed(limit, element.size)
                self.reach(element, inside, first)

    def union(self, wire: layout.Union, at: Spot, first: int) -> None:
        around, members = self.rooms, []
        for tag, member in enumerate(wire.members):
            self.rooms = []
            chosen = replace(at, tags=(*at.tags, Tag(at.offset, at.strides, tag)))
            self.reach(member.type, _within(chosen, member), len(at.limits))
            members.append(tuple(self.rooms))
        self.rooms = around
        every = [room for rooms in members for room in rooms]
        if every:
            align = max(room.align for room in every)
            size = align_up(max(map(_size, members)), align)
            limits = at.limits[first:]
            self.rooms.append(_Room(first, limits, align, size, members=tuple(members)))

    def add(self, spot: Spot, align: int, first: int) -> Spot:
        """Notes a spot; `a.b` and `a_b` must not share a name."""
        while spot.name in self.names:
            spot = replace(spot, name=f"{spot.name}_")
        self.names[spot.name] = None
        self.rooms.append(_Room(first, spot.limits[first:], align, spot.capacity, spot))
        return spot


def _within(base: Spot, field: Field) -> Spot:
    name = f"{base.name}_{field.name}" if base.name else field.name
    return replace(base, name=name, offset=base.offset + field.offset)


def _packed(rooms: Iterable[_Room]) -> list[tuple[int, _Room]]:
    """Start and room, in descending alignment: as each has whole units of it, there are no gaps."""
    found, end = [], 0
    for room in sorted(rooms, key=lambda room: -room.align):
        found.append((end, room))
        end += room.extent
    return found


def _size(rooms: Iterable[_Room]) -> int:
    return max((start + room.extent for start, room in _packed(rooms)), default=0)


def _place(rooms: Iterable[_Room], base: int, around: Steps, placed: dict[str, Spot]) -> None:
    for start, room in _packed(rooms):
        steps = (*around, *room.steps)
        if room.spot:
            placed[room.spot.name] = replace(room.spot, region=base + start, steps=steps)
        for member in room.members:
            _place(member, base + start, steps, placed)
