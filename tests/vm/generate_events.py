"""Random events for a policy; most messages conform, the others nearly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from random import Random

from kss import layout
from kss.events import Event, Kind
from kss.layout import Endpoint, Field, MessageType, Method, Struct, Union, WireType
from kss.message import encode
from kss.tree import Choice, Condition, Item, Match, PolicyTree
from kss.types import IntegerType

from tests.vm import generate_patterns
from tests.vm.generate_expressions import TEXTS

KINDS = list(Kind)
SIDS = [0, *[1] * 8, *[2] * 5, 3, 3, 4, 5]  # few, so that many have contexts
NUMBERS = [0, 1, 2, 3, 4, 8, 0xFFFFFFFF, 0x80000000]


@dataclass(frozen=True)
class Target:
    """An operation that a message can name."""

    server: int
    endpoint: Endpoint
    method: Method


class Events:
    """Events of few SIDs, most for operations that some binding selects."""

    def __init__(self, rng: Random, tree: PolicyTree) -> None:
        self.rng = rng
        self.tree = tree
        self.bound = [binding.kind for binding in tree.bindings]
        self.targets = {kind: list(self._targets(kind)) for kind in Kind}
        self.asked = {
            kind: [
                (target, condition)
                for binding in tree.bindings
                if binding.kind is kind
                for condition in _conditions(binding.condition, binding.items)
                if condition.method
                for target in self.targets[kind]
                if _agrees(condition, kind, target)
            ]
            for kind in Kind
        }

    def _targets(self, kind: Kind) -> Iterator[Target]:
        for entity in self.tree.classes:
            offered = entity.security if kind is Kind.SECURITY else entity.endpoints
            for endpoint in () if kind is Kind.EXECUTE else offered:
                for method in endpoint.interface.methods:
                    yield Target(entity.index, endpoint, method)

    def event(self) -> Event:
        rng = self.rng
        kind = rng.choice(self.bound if self.bound and rng.random() < 0.8 else KINDS)
        src, dst, message = self._class(), self._class(), b""
        if self.targets[kind] and rng.random() < 0.97:
            target, condition = self._target(kind)
            server = target.server
            src, dst = (server, condition.dst) if kind.server_is_source else (condition.src, server)
            src, dst = (self._class() if side is None else side for side in (src, dst))
            message = self.message(kind, target)
        elif kind is not Kind.EXECUTE:
            message = rng.randbytes(rng.choice([0, 4, 8, 16]))
        security, execute = kind is Kind.SECURITY, kind is Kind.EXECUTE
        released = rng.choice(SIDS) if execute and rng.random() < 0.3 else 0
        sids = rng.choice(SIDS), 0 if security else rng.choice(SIDS)
        return Event(
            kind, src, None if security else dst, *sids, message, released, rng.random() < 0.1
        )

    def _target(self, kind: Kind) -> tuple[Target, Condition]:
        if self.asked[kind] and self.rng.random() < 0.8:
            return self.rng.choice(self.asked[kind])
        return self.rng.choice(self.targets[kind]), Condition()

    def _class(self) -> int | None:
        if self.rng.random() < 0.02:
            return None
        return self.rng.randrange(len(self.tree.classes))

    # ---- messages --------------------------------------------------------------

    def message(self, kind: Kind, target: Target) -> bytes:
        rng = self.rng
        direction = kind.direction
        assert direction is not None
        message = target.method.message(direction)
        if rng.random() < 0.08:
            message = MessageType(direction, tuple(_relaxed_field(f) for f in message.fields))
        values = {field.name: self.value(field.type) for field in message.fields}
        data = encode(message, values, riid=target.endpoint.riid, mid=target.method.mid)
        return self.spoil(data) if rng.random() < 0.15 else data

    def value(self, wire: WireType) -> object:
        rng = self.rng
        match wire:
            case layout.Integer(bits, signed):
                kind = IntegerType(bits, signed)
                near = [0, 1, 2, 3, 4, kind.high, kind.low, kind.high - 1]
                return rng.choice(near) if rng.random() < 0.8 else rng.randint(kind.low, kind.high)
            case layout.Handle():
                return {"handle": rng.choice(SIDS), "rights": rng.choice([0, 1, 0xFFFFFFFF])}
            case layout.Bytes(limit):
                return rng.randbytes(self._count(limit))
            case layout.String(limit):
                texts = [text for text in TEXTS if len(text.encode()) <= limit]
                made = generate_patterns.text(rng)[:limit].decode("utf-8", "surrogateescape")
                return rng.choice([*texts, made, made, made, "x" * limit])
            case layout.Array(element, count):
                return [self.value(element) for _ in range(count)]
            case layout.Sequence(element, limit):
                return [self.value(element) for _ in range(self._count(limit))]
            case layout.Struct(_, fields):
                return {field.name: self.value(field.type) for field in fields}
            case layout.Union(_, members):
                member = rng.choice(members)
                return {member.name: self.value(member.type)}

    def _count(self, limit: int) -> int:
        return self.rng.choice([limit, self.rng.randint(0, limit)])

    def spoil(self, data: bytes) -> bytes:
        """A message that may not conform any more."""
        rng, spoilt = self.rng, bytearray(data)
        for _ in range(rng.randint(1, 3)):
            match rng.randint(0, 6):
                case 0 if spoilt:
                    spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randint(0, 7)
                case 1 if len(spoilt) > 12:
                    at = rng.randrange(8, len(spoilt) - 3, 4)
                    spoilt[at : at + 4] = rng.choice(NUMBERS).to_bytes(4, "little")
                case 2 if len(spoilt) > 12:  # near what it was: a span moved or stretched
                    at = rng.randrange(8, len(spoilt) - 3, 4)
                    near = int.from_bytes(spoilt[at : at + 4], "little") + rng.randint(-4, 4)
                    spoilt[at : at + 4] = (near & 0xFFFFFFFF).to_bytes(4, "little")
                case 6 if len(spoilt) > 12:  # a span moved, with room for it
                    at, by = rng.randrange(8, len(spoilt) - 3, 4), rng.randint(1, 4)
                    spoilt[at] = (spoilt[at] + by) % 256
                    spoilt += bytes(by)
                case 3:
                    del spoilt[rng.randint(0, len(spoilt)) :]
                case 4:
                    spoilt += rng.randbytes(rng.choice([1, 4, 8]))
                case _ if spoilt:
                    spoilt[rng.randrange(min(8, len(spoilt)))] = rng.randint(0, 3)
        return bytes(spoilt)


def _conditions(outer: Condition, items: tuple[Item, ...]) -> Iterator[Condition]:
    """What a binding and each section within it asks for."""
    yield outer
    for item in items:
        if isinstance(item, Match):
            inner = {f.name: getattr(item.condition, f.name) for f in fields(Condition)}
            given = {name: value for name, value in inner.items() if value is not None}
            yield from _conditions(replace(outer, **given), item.items)
        elif isinstance(item, Choice):
            for branch in item.branches:
                yield from _conditions(outer, branch.items)


def _agrees(condition: Condition, kind: Kind, target: Target) -> bool:
    server = condition.src if kind.server_is_source else condition.dst
    endpoint, name = target.endpoint, target.method.name
    if kind is Kind.SECURITY and endpoint.name:
        name = f"{endpoint.name}.{name}"
    return (
        server in (None, target.server)
        and condition.interface in (None, endpoint.interface.name)
        and condition.endpoint in (None, endpoint.name)
        and condition.method == name
    )


def _relaxed_field(field: Field) -> Field:
    return replace(field, type=relaxed(field.type))


def relaxed(wire: WireType) -> WireType:
    """A type of the same layout that admits one byte, character or element more."""
    match wire:
        case layout.Bytes(limit):
            return layout.Bytes(limit + 1)
        case layout.String(limit):
            return layout.String(limit + 1)
        case layout.Sequence(element, limit):
            return layout.Sequence(relaxed(element), limit + 1)
        case layout.Array(element, count):
            return layout.Array(relaxed(element), count)
        case Struct(name, fields):
            return Struct(name, tuple(_relaxed_field(field) for field in fields))
        case Union(name, members):
            return Union(name, tuple(_relaxed_field(member) for member in members))
        case _:
            return wire
