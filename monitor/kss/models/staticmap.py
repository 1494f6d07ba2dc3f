"""StaticMap: integers under fixed keys for each resource, in a working copy and a base."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from kss import layout, syntax
from kss.binary import CLAIM_WRITES, DROP_WRITES, MAX_STATE
from kss.codegen import names
from kss.codegen.expressions import type_code
from kss.codegen.object import Arguments, ObjectCode
from kss.errors import Findings, did_you_mean
from kss.models.config import Reader
from kss.models.model import (
    Contexts,
    EvaluationError,
    Model,
    Parameter,
    Setup,
    Signature,
    Typing,
    Value,
    argument_of,
)
from kss.tree import Apply, Constant, Expression, ListValue, Place
from kss.types import SID, TEXT, UINT8, IntegerType, ListType, Type, VariantType

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

MAX_KEYS = 0xFFFF
KEY = VariantType((TEXT, ListType(UINT8)))
ALIASES = {"get_uncommitted": "get_uncommited"}


@dataclass(frozen=True)
class StaticMapConfig:
    """`keys` with their defaults, in the order of their bytes."""

    value: IntegerType
    keys: tuple[tuple[str, int], ...]
    pool_size: int

    def number(self, key: bytes) -> int | None:
        """A key's place, None if there is no such key."""
        return self._numbers.get(key)

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {name.encode(): number for number, (name, _) in enumerate(self.keys)}


class StaticMapCode(ObjectCode):
    """A context is the working copy, then the base. The methods take a key's number as their second
    argument; `text`, `bytes` and `listed` find it, if the key is not constant."""

    number = 3
    METHODS = (
        *("init", "fini", "set", "commit", "rollback", "get", "get_uncommited"),
        *("text", "bytes", "listed"),
    )

    @property
    def _map(self) -> StaticMapConfig:
        config = self.thing.config
        assert isinstance(config, StaticMapConfig), config
        return config

    @property
    def _copy_words(self) -> int:
        return len(self._map.keys) * _words(self._map.value)

    @property
    def context_words(self) -> int:
        return 2 * self._copy_words

    def config(self) -> list[int]:
        config = self._map
        defaults = [word for _, value in config.keys for word in _to_words(config.value, value)]
        known = names.table(name for name, _ in config.keys)
        return [len(config.keys), type_code(config.value), *defaults, *known]

    def writes(self, method: str) -> int:
        return {
            "init": CLAIM_WRITES + 2 * self._copy_words,
            "fini": DROP_WRITES,
            "set": _words(self._map.value),
            "commit": self._copy_words,
            "rollback": self._copy_words,
        }.get(method, 0)

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        named = dict(arguments)
        to.value(named["sid"], d)
        if "key" in named:
            to.select(named["key"], d + 1, lambda leaf, at: self._key(to, leaf, at))
        if "value" in named:
            to.value(named["value"], d + 2)
        self.emit(to, ALIASES.get(method, method), d, d)

    def _key(self, to: Expressions, key: Expression, d: int) -> None:
        """The number of a key in register d."""
        match key:
            case Constant(value):
                number = self._map.number(_bytes(value))
                to.constant(names.NONE if number is None else number, d)
            case ListValue(items):
                for register, item in enumerate(items, start=d):
                    to.value(item, register)
                self.emit(to, "listed", d, d, len(items))
            case _:
                assert isinstance(key, Place), key
                to.address_in(key, d)
                self.emit(to, "text" if isinstance(key.wire, layout.String) else "bytes", d, d)

    def symbols(self) -> dict[str, Any]:
        return {"keys": [name for name, _ in self._map.keys], "value": str(self._map.value)}

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        keys, kind = symbols["keys"], symbols["value"]
        bits = 64 if kind.endswith("64") else 32
        width = bits // 32
        values = []
        for at in range(0, len(context), width):
            value = sum(word << 32 * i for i, word in enumerate(context[at : at + width]))
            negative = kind.startswith("S") and value >> (bits - 1)
            values.append(value - (1 << bits) if negative else value)
        return _shown(keys, values[: len(keys)], values[len(keys) :])


class StaticMap(Model):
    name = "StaticMap"
    file = "nk.staticmap"
    stateful = True
    code = StaticMapCode

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        before = len(findings.items)
        reader = Reader(declaration, findings)
        reader.only_types("Value")
        node = reader.configuration()
        fields = reader.fields(node, "keys", "pool_size") if node else None
        kind = types.get("Value")
        if kind is not None and not isinstance(kind, IntegerType):
            span = next(i.span for i in declaration.types if i.name.value == "Value")
            reader.wrong(span, f"a value is an integer, not {kind}", "type Value = UInt32")
        if fields is None:
            return None
        pool_size = reader.integer(fields["pool_size"], 1, MAX_STATE)
        keys = _keys(reader, fields["keys"], kind)
        if pool_size is None or len(findings.items) > before:
            return None
        assert isinstance(kind, IntegerType)
        config = StaticMapConfig(kind, keys, pool_size)
        return Setup(config, f"StaticMap{config}")

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        value = types["Value"]
        sid, key = Parameter("sid", SID), Parameter("key", KEY)
        get = Signature((sid, key), named=True, result=value)
        return {
            **dict.fromkeys(("init", "fini", "commit", "rollback"), Signature((sid,), named=True)),
            "set": Signature((sid, key, Parameter("value", value)), named=True),
            **dict.fromkeys(("get", "get_uncommited", "get_uncommitted"), get),
        }

    def examine(
        self,
        typing: Typing,
        call: syntax.Call,
        config: object,
        arguments: Mapping[str, Expression],
    ) -> None:
        assert isinstance(config, StaticMapConfig)
        for key in _written(arguments["key"]) if "key" in arguments else ():
            if config.number(_bytes(key)) is None:
                span = argument_of(call, "key").span
                help = did_you_mean(str(key), [name for name, _ in config.keys])
                shown = f'"{key}"' if isinstance(key, str) else f"of the bytes {list(key)}"
                raise typing.fail("PSL-029", span, f"the map has no key {shown}", help)

    bound = "its pool_size"

    def capacity(self, config: object, max_sids: int) -> int:
        return cast(StaticMapConfig, config).pool_size

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        """A context is (working, base), each the values in the order of the keys."""
        assert isinstance(config, StaticMapConfig)
        sid = arguments["sid"]
        if method == "init":
            defaults = tuple(value for _, value in config.keys)
            return contexts.claim(sid, (defaults, defaults))
        number = config.number(_bytes(arguments["key"])) if "key" in arguments else 0
        if sid not in contexts or number is None:
            if method.startswith("get"):
                raise EvaluationError(f"SID {sid} has no map, or the map no such key")
            return False
        working, base = contexts[sid]
        if method.startswith("get"):
            return (base if method == "get" else working)[number]
        if method == "fini":
            del contexts[sid]
        elif method == "set":
            changed = (*working[:number], arguments["value"], *working[number + 1 :])
            contexts[sid] = (changed, base)
        elif method == "commit":
            contexts[sid] = (working, working)
        else:
            contexts[sid] = (base, base)
        return True

    def meaning(self, config: object, method: str) -> str | None:
        assert isinstance(config, StaticMapConfig)
        if method == "init":
            return str(config)
        return f"{config.value} {[name for name, _ in config.keys]}"

    def undecided_by(self, method: str) -> Collection[str]:
        return ("value",) if method == "set" else ()

    def show(self, config: object, context: Any) -> Any:
        return _shown([name for name, _ in cast(StaticMapConfig, config).keys], *context)


def _keys(
    reader: Reader, node: syntax.Expression, kind: Type | None
) -> tuple[tuple[str, int], ...]:
    """The keys with their defaults, without those that have findings."""
    if not isinstance(node, syntax.Dict) or not node.entries:
        reader.wrong(node.span, "keys is a dictionary with a key at least", '{ "key" : 0 }')
        return ()
    found: dict[str, int] = {}
    seen: set[str | int] = set()
    low, high = (kind.low, kind.high) if isinstance(kind, IntegerType) else (-(1 << 63), 1 << 64)
    for entry in node.entries:
        value = reader.integer(entry.value, low, high)
        if not entry.quoted:
            reader.wrong(entry.span, f"the key {entry.key} is no text", f'"{entry.key}"')
        elif entry.key in seen:
            reader.wrong(entry.span, f'"{entry.key}" is given twice', "take one out", "PSL-027")
        elif value is not None:
            found[str(entry.key)] = value
        seen.add(entry.key)
    if len(node.entries) > MAX_KEYS:
        reader.wrong(node.span, f"{len(node.entries)} keys", f"at most {MAX_KEYS}")
    return tuple(sorted(found.items(), key=lambda pair: pair[0].encode()))


def _written(key: Expression) -> Iterator[str | tuple[int, ...]]:
    """The constant keys that an argument may be."""
    match key:
        case Constant(value, kind):
            texts = isinstance(kind, ListType) and kind.element != UINT8
            yield from cast(tuple[str], value) if texts else (cast(str, value),)
        case ListValue(items, ListType(element)) if element != UINT8:
            for item in items:
                yield from _written(item)
        case Apply("struct.element", (values, _)):
            yield from _written(values)


def _bytes(key: Value) -> bytes:
    return key.encode() if isinstance(key, str) else bytes(key)


def _words(kind: IntegerType) -> int:
    return 2 if kind.bits == 64 else 1


def _to_words(kind: IntegerType, value: int) -> list[int]:
    return [value >> 32 * i & 0xFFFFFFFF for i in range(_words(kind))]


def _shown(keys: list[str], working: Any, base: Any) -> dict[str, Any]:
    return {
        "base": dict(zip(keys, base, strict=True)),
        "working": dict(zip(keys, working, strict=True)),
    }
