"""Random objects of HashSet, StaticMap and Mic, and random calls of their methods."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from kss import layout
from kss.models.hashset import HashSetConfig
from kss.models.integrity import MicConfig
from kss.models.staticmap import StaticMapConfig
from kss.numerals import make_list
from kss.tree import (
    Constant,
    Expression,
    Place,
    PolicyObject,
    Query,
    RecordValue,
    Rule,
)
from kss.types import (
    BOOLEAN,
    TEXT,
    UINT8,
    UINT32,
    UNIT,
    IntegerType,
    LevelType,
    ListType,
    RecordType,
    TupleType,
    Type,
    of_wire,
)

from tests.vm import build

if TYPE_CHECKING:
    from tests.vm.generate_expressions import Expressions

INTEGERS = [IntegerType(bits, signed) for bits in (8, 16, 32, 64) for signed in (False, True)]
NAMES = ["", "a", "ab", "red", "é", "blue"]
DEGREES, CATEGORIES = ["a", "ab", "red"], ["a", "red", "é"]


class Objects:
    """The objects of these models in a policy."""

    def __init__(self, rng: Random, builder: build.Builder, count: int) -> None:
        self.rng = rng
        self.builder = builder
        self.sets: list[int] = []
        self.maps: list[int] = []
        self.mics: list[int] = []
        for _ in range(count):
            rng.choice([self._set, self._map, self._mic])()

    @property
    def all(self) -> list[int]:
        return self.sets + self.maps + self.mics

    def _declare(self, model: str, types: dict[str, Type], config: object) -> int:
        index = len(self.builder.objects)
        name, identity = f"{model.lower()}{index}", f"{model}{config}"
        thing = PolicyObject(name, index, model, types, config, identity, build.HERE)
        self.builder.objects.append(thing)
        return index

    def _set(self) -> None:
        entry = self._entry_type(2)
        config = HashSetConfig(entry, self.rng.randint(1, 4), self.rng.randint(1, 3))
        self.sets.append(self._declare("HashSet", {"Entry": entry}, config))

    def _entry_type(self, depth: int) -> Type:
        rng = self.rng
        structs = [kind for kind in map(of_wire, self._wires()) if _is_entry(kind)]
        if structs and rng.random() < 0.3:
            return rng.choice(structs)
        if depth == 0 or rng.random() < 0.5:
            return rng.choice([*INTEGERS, BOOLEAN])
        parts = tuple(self._entry_type(depth - 1) for _ in range(rng.randint(1, 3)))
        if rng.random() < 0.5:
            return TupleType(parts)
        return RecordType(tuple((f"f{i}", part) for i, part in enumerate(parts)))

    def _wires(self) -> list[layout.WireType]:
        """Types of parameters."""
        return [
            field.type
            for entity in self.builder.entities
            for endpoint in (*entity.endpoints, *entity.security)
            for method in endpoint.interface.methods
            for direction in layout.Direction
            for field in method.message(direction).fields
        ]

    def _map(self) -> None:
        kind = self.rng.choice([UINT32, *INTEGERS])
        names = sorted(self.rng.sample(NAMES, self.rng.randint(1, 5)), key=str.encode)
        values = [0, 1, kind.low, kind.high]
        keys = tuple((name, self.rng.choice(values)) for name in names)
        config = StaticMapConfig(kind, keys, self.rng.randint(1, 3))
        self.maps.append(self._declare("StaticMap", {"Value": kind}, config))

    def _mic(self) -> None:
        rng = self.rng
        chain = rng.random() < 0.4
        degrees = tuple(rng.sample(DEGREES, rng.randint(1, 3)))
        categories = () if chain else tuple(rng.sample(CATEGORIES, rng.choice([0, 1, 2, 3, 3])))
        config = MicConfig(degrees, categories, chain)
        self.mics.append(self._declare("Mic", {}, config))

    # ---- rules

    def start(self, thing: int) -> Rule:
        """Gives the SID that is started a context."""
        if thing not in self.mics:
            return self._rule(thing, "init", sid=build.DST)
        config, unit = self._mic_config(thing), Constant(None, UNIT)
        categories = config.categories if self.rng.random() < 0.7 else config.categories[:1]
        level = self._record(
            self._name(config.degrees),
            make_list([Constant(name, TEXT) for name in categories], ListType(TEXT)),
        )
        return self._rule(thing, "execute", image=unit, target=build.DST, level=level, levelR=unit)

    def _rule(self, thing: int, method: str, **arguments: Expression) -> Rule:
        return self.builder.call(thing, method, **arguments)

    def rule(self, make: Expressions) -> Rule:
        thing = self.rng.choice(self.all)
        if thing in self.mics:
            return self._mic_rule(thing, make)
        if thing in self.sets:
            method = self.rng.choice(["init", "fini", "add", "add", "add", "remove"])
            entry = {"entry": self.entry(thing, make)} if method in ("add", "remove") else {}
            return self._rule(thing, method, sid=make.sid(), **entry)
        method = self.rng.choice(["init", "fini", "set", "set", "commit", "rollback"])
        given: dict[str, Expression] = {"sid": make.sid()}
        if method == "set":
            kind = self.builder.objects[thing].types["Value"]
            assert isinstance(kind, IntegerType)
            given |= {"key": self.key(thing, make), "value": make.integer(kind, 1)}
        return self._rule(thing, method, **given)

    def _mic_rule(self, thing: int, make: Expressions) -> Rule:
        rng = self.rng
        methods = ["create", "create", "delete", "upgrade", "upgrade", "execute", "execute"]
        method = rng.choice([*methods, "call", "invoke", "read", "write"])
        given: dict[str, Expression] = {"source": make.sid(), "target": make.sid()}
        if method == "execute":
            image = self._maybe(make.sid())
            level = self.level(thing, make)
            given = {"image": image, "target": make.sid()}
            given["level"] = level if image.type == UNIT else self._maybe(level)
            given["levelR"] = Constant(None, UNIT)
            if rng.random() < 0.3:
                given["levelR"] = self.level(thing, make)
        elif method in methods:
            given |= {"container": self._maybe(make.sid()), "driver": make.sid()}
            if method != "delete":
                level = self.level(thing, make)
                given["level"] = self._maybe(level) if method == "create" else level
            if rng.random() < 0.5:
                given |= self._often_granted(thing, method)
        return self._rule(thing, method, **given)

    def _often_granted(self, thing: int, method: str) -> dict[str, Expression]:
        """Arguments of create, delete or upgrade by the source: down to the lowest level, and up
        to its own."""
        lowest = Constant(self._mic_config(thing).degrees[0], TEXT)
        source = (("source", build.SRC),)
        own = Query(thing, "query_level", source, _levels_of(self._mic_config(thing)))
        given = {"source": build.SRC, "target": build.DST, "driver": build.SRC}
        levels: dict[str, Expression] = {"create": lowest, "upgrade": own}
        level = {"level": levels[method]} if method in levels else {}
        return {**given, "container": Constant(None, UNIT), **level}

    def _maybe(self, value: Expression) -> Expression:
        return value if self.rng.random() < 0.6 else Constant(None, UNIT)

    # ---- expressions

    def contains(self, make: Expressions) -> Expression:
        thing = self.rng.choice(self.sets)
        arguments = (("sid", make.sid()), ("entry", self.entry(thing, make)))
        return Query(thing, "contains", arguments, BOOLEAN)

    def getters(self, kind: IntegerType) -> list[int]:
        return [thing for thing in self.maps if self.builder.objects[thing].types["Value"] == kind]

    def get(self, kind: IntegerType, make: Expressions) -> Expression:
        thing = self.rng.choice(self.getters(kind))
        arguments = (("sid", make.sid()), ("key", self.key(thing, make)))
        method = self.rng.choice(["get", "get_uncommited", "get_uncommitted"])
        return Query(thing, method, arguments, kind)

    def query_level(self, thing: int, make: Expressions) -> Query:
        config = self._mic_config(thing)
        kind = LevelType(config.degrees, config.categories)
        return Query(thing, "query_level", (("source", make.sid()),), kind)

    def labels(self, thing: int) -> list[str]:
        return [*self._levels(thing), *self._mic_config(thing).degrees[:1]]

    def _mic_config(self, thing: int) -> MicConfig:
        config = self.builder.objects[thing].config
        assert isinstance(config, MicConfig)
        return config

    def _levels(self, thing: int) -> list[str]:
        config = self._mic_config(thing)
        levels = [config.level(d, c) for d in config.degrees for c in _some(config.categories)]
        return sorted({config.name(level) for level in levels if level})

    def level(self, thing: int, make: Expressions) -> Expression:
        rng, config = self.rng, self._mic_config(thing)
        alike = [t for t in self.mics if _levels_of(self._mic_config(t)) == _levels_of(config)]
        kind = rng.choice(["text", *["dictionary"] * 4, "object", "any"])
        if kind == "object":
            return make.one_of([self.query_level(rng.choice(alike), make) for _ in "ab"], 1)
        if kind == "any":
            return make.one_of([make.text(), self._name(config.degrees)], 1)
        if kind == "text":
            return self._name(config.degrees)
        degree = rng.choice([self._name(config.degrees), make.text(), Constant(None, UNIT)])
        categories: Expression = Constant(None, UNIT)
        if config.categories and rng.random() < 0.7:
            items: list[Expression] = []
            items += [self._name(config.categories) for _ in range(rng.randint(0, 2))]
            if rng.random() < 0.5 and (place := make.place((layout.String,))):
                items.append(place)
            categories = make_list(items, ListType(TEXT))
            if rng.random() < 0.2:
                other = make_list([self._name(config.categories)], ListType(TEXT))
                categories = make.one_of([categories, other], 1)
        return self._record(degree, categories)

    def _record(self, degree: Expression, categories: Expression) -> RecordValue:
        parts = RecordType((("degree", degree.type), ("categories", categories.type)))
        return RecordValue((("degree", degree), ("categories", categories)), parts)

    def _name(self, names: tuple[str, ...]) -> Constant:
        return Constant(self.rng.choice(names), TEXT)

    def key(self, thing: int, make: Expressions) -> Expression:
        rng, config = self.rng, self.builder.objects[thing].config
        assert isinstance(config, StaticMapConfig)
        known = [name for name, _ in config.keys]
        match rng.choice(["text"] * 4 + ["place", "bytes", "listed", "element"]):
            case "place":
                return make.text()
            case "bytes" if place := make.place((layout.Bytes,)):
                return place
            case "listed":
                data = rng.choice([*known, "a", "b"]).encode()
                items = [make.integer(UINT8, 0) if rng.random() < 0.2 else _byte(b) for b in data]
                return make_list(items, ListType(UINT8))
            case "element":
                return make.one_of([make.text(), self._name(tuple(known))], 1)
        return Constant(rng.choice([*known, *known, "none"]), TEXT)

    def entry(self, thing: int, make: Expressions) -> Expression:
        return self._value(self.builder.objects[thing].types["Entry"], make)

    def _value(self, kind: Type, make: Expressions) -> Expression:
        rng = self.rng
        if isinstance(kind, IntegerType):
            return make.small(kind) if rng.random() < 0.6 else make.integer(kind, 1)
        if isinstance(kind, TupleType) and rng.random() < 0.9:
            return make_list([self._value(part, make) for part in kind.items], kind)
        if isinstance(kind, RecordType) and rng.random() < 0.8:
            if rng.random() < 0.6 and (place := self._place(kind, make)):
                return place
            fields = tuple((name, self._value(part, make)) for name, part in kind.fields)
            return RecordValue(fields, kind)
        if isinstance(kind, TupleType | RecordType):  # an element of a list
            return make.one_of([self._value(kind, make) for _ in range(rng.randint(1, 3))], 1)
        return make.boolean(1)

    def _place(self, kind: RecordType, make: Expressions) -> Place | None:
        return make.place((layout.Struct, layout.Handle), kind)


def _byte(value: int) -> Constant:
    return Constant(value, UINT8)


def _some(categories: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(), categories, categories[:1], categories[1:]]


def _levels_of(config: MicConfig) -> LevelType:
    return LevelType(config.degrees, config.categories)


def _is_entry(kind: Type) -> bool:
    if isinstance(kind, RecordType):
        return not kind.union and all(_is_entry(part) for _, part in kind.fields)
    return isinstance(kind, IntegerType)
