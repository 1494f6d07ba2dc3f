"""Random wire types, interfaces and classes."""

from __future__ import annotations

from random import Random

from kss import layout
from kss.layout import (
    Direction,
    Endpoint,
    EntityClass,
    Interface,
    Method,
    WireType,
    make_message,
    make_struct,
    make_union,
)


class Schema:
    """Random wire types, interfaces and classes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.named = 0

    def wire(self, depth: int = 3) -> WireType:
        rng = self.rng
        kinds = ["integer"] * 3 + ["handle", "bytes", "string"]
        if depth:
            kinds += ["array", "sequence", "struct", "union"]
        match rng.choice(kinds):
            case "integer":
                return layout.Integer(rng.choice([8, 16, 32, 64]), rng.random() < 0.5)
            case "handle":
                return layout.Handle()
            case "bytes":
                return layout.Bytes(rng.randint(1, 6))
            case "string":
                return layout.String(rng.randint(1, 12))
            case "array":
                return layout.Array(self.wire(depth - 1), rng.randint(1, 3))
            case "sequence":
                return layout.Sequence(self.wire(depth - 1), rng.randint(1, 3))
            case "struct":
                return make_struct(self._name("S"), self._parts(rng.randint(1, 3), depth - 1))
            case _:
                return make_union(self._name("U"), self._parts(rng.randint(1, 3), depth - 1))

    def _name(self, letter: str) -> str:
        self.named += 1
        return f"{letter}{self.named}"

    def _parts(self, count: int, depth: int) -> list[tuple[str, WireType]]:
        return [(f"f{i}", self.wire(depth)) for i in range(count)]

    def interface(self, name: str, security: bool = False) -> Interface:
        most = [3, 0, 0] if security else [3, 2, 2]
        methods = []
        for mid in range(self.rng.randint(1, 3)):
            messages = [
                make_message(direction, self._parts(self.rng.randint(0, most[direction]), 3))
                for direction in Direction
            ]
            methods.append(Method(f"M{mid}", mid, *messages))
        return Interface(name, tuple(methods))

    def classes(self) -> tuple[EntityClass, ...]:
        rng = self.rng
        offered = [self.interface(f"t.I{i}") for i in range(rng.randint(1, 3))]
        guarded = [self.interface(f"t.S{i}", security=True) for i in range(rng.randint(1, 2))]
        entities = []
        for index in range(rng.randint(2, 4)):
            endpoints = tuple(
                Endpoint(f"e{riid}", riid, rng.choice(offered), rng.choice([None, "t.C"]))
                for riid in range(rng.randint(0, 3))
            )
            security = tuple(
                Endpoint("" if riid else "part", riid, rng.choice(guarded), None)
                for riid in range(rng.randint(0, 2))
            )
            entities.append(EntityClass(f"t.Class{index}", index, endpoints, security))
        return tuple(entities)
