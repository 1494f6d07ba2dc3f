"""HashSet: a bounded set of entries for each resource."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from kss import dictionary, syntax
from kss.binary import CLAIM_WRITES, DROP_WRITES, MAX_STATE
from kss.codegen.object import Arguments, ObjectCode
from kss.codegen.parts import scalar_types, scalars
from kss.errors import Findings
from kss.models.config import Reader
from kss.models.model import (
    Contexts,
    EvaluationError,
    Model,
    Parameter,
    Setup,
    Signature,
    Value,
)
from kss.types import BOOLEAN, SID, IntegerType, RecordType, TupleType, Type

if TYPE_CHECKING:
    from kss.codegen.expressions import Expressions

MAX_PARTS = 32


@dataclass(frozen=True, slots=True)
class HashSetConfig:
    """`pool_size` SIDs own a set of at most `set_size` entries each."""

    entry: Type
    set_size: int
    pool_size: int


class HashSetCode(ObjectCode):
    """A context is a dictionary without values; a key is an entry's scalars in a word or two each.
    Arguments are the SID and these scalars."""

    number = 2
    METHODS = ("init", "fini", "add", "remove", "contains")

    @property
    def _set(self) -> HashSetConfig:
        config = self.thing.config
        assert isinstance(config, HashSetConfig), config
        return config

    @property
    def _widths(self) -> list[int]:
        return [_words(kind) for kind in scalar_types(self._set.entry)]

    @property
    def context_words(self) -> int:
        return dictionary.words_of(self._set.set_size, sum(self._widths), 0)

    def config(self) -> list[int]:
        return [self._set.set_size, *self._widths]

    def writes(self, method: str) -> int:
        return {
            "init": CLAIM_WRITES + dictionary.CLEAR_WRITES,
            "fini": DROP_WRITES,
            "add": dictionary.add_writes(sum(self._widths)),
            "remove": dictionary.REMOVE_WRITES,
        }.get(method, 0)

    def call(self, to: Expressions, method: str, arguments: Arguments, d: int) -> None:
        named = dict(arguments)
        to.value(named["sid"], d)
        if "entry" in named:
            for register, part in enumerate(scalars(named["entry"], self._set.entry), start=d + 1):
                to.value(part, register)
        self.emit(to, method, d, d)

    def symbols(self) -> dict[str, Any]:
        return {"set_size": self._set.set_size, "entry": _described(self._set.entry)}

    @staticmethod
    def show(symbols: dict[str, Any], context: tuple[int, ...]) -> Any:
        kinds = list(_leaves(symbols["entry"]))
        key_words = sum(_words(kind) for kind in kinds)
        keys = dictionary.items(context, symbols["set_size"], key_words, 0)
        entries = sorted(tuple(_numbers(iter(key), kinds)) for key, _ in keys)
        return [_assembled(symbols["entry"], iter(entry)) for entry in entries]


class HashSet(Model):
    name = "HashSet"
    file = "nk.hashmap"
    stateful = True
    code = HashSetCode

    def configure(
        self,
        declaration: syntax.ObjectDeclaration,
        types: Mapping[str, Type],
        findings: Findings,
    ) -> Setup | None:
        before = len(findings.items)
        reader = Reader(declaration, findings)
        reader.only_types("Entry")
        node = reader.configuration()
        fields = reader.fields(node, "set_size", "pool_size") if node else None
        entry = types.get("Entry")
        if entry is not None:
            _must_be_entry(reader, entry)
        if fields is None:
            return None
        set_size = reader.integer(fields["set_size"], 1, MAX_STATE)
        pool_size = reader.integer(fields["pool_size"], 1, MAX_STATE)
        if set_size is None or pool_size is None or entry is None or len(findings.items) > before:
            return None
        config = HashSetConfig(entry, set_size, pool_size)
        return Setup(config, f"HashSet{config}")

    def signatures(self, types: Mapping[str, Type], config: object) -> Mapping[str, Signature]:
        sid, entry = Parameter("sid", SID), Parameter("entry", types["Entry"])
        return {
            "init": Signature((sid,), named=True),
            "fini": Signature((sid,), named=True),
            "add": Signature((sid, entry), named=True),
            "remove": Signature((sid, entry), named=True),
            "contains": Signature((sid, entry), named=True, result=BOOLEAN),
        }

    bound = "its pool_size"

    def capacity(self, config: object, max_sids: int) -> int:
        return cast(HashSetConfig, config).pool_size

    def call(
        self, config: object, contexts: Contexts, method: str, arguments: dict[str, Value]
    ) -> Value:
        """A context is a frozenset of entries, dictionaries and tuples as tuples."""
        sid = arguments["sid"]
        if method == "init":
            return contexts.claim(sid, frozenset())
        entries: frozenset[Value] | None = contexts.get(sid)
        if entries is None:
            if method == "contains":
                raise EvaluationError(f"SID {sid} has no set")
            return False
        if method == "fini":
            del contexts[sid]
            return True
        entry = _frozen(arguments["entry"])
        if method == "contains":
            return entry in entries
        if method == "remove":
            contexts[sid] = entries - {entry}
            return True
        if entry not in entries and len(entries) >= cast(HashSetConfig, config).set_size:
            return False
        contexts[sid] = entries | {entry}
        return True

    def meaning(self, config: object, method: str) -> str | None:
        assert isinstance(config, HashSetConfig)
        bound = {"init": config.pool_size, "add": config.set_size}.get(method, 0)
        return f"{bound} of {config.entry}"

    def undecided_by(self, method: str) -> Collection[str]:
        return ("entry",) if method == "remove" else ()

    def show(self, config: object, context: Any) -> Any:
        entry = cast(HashSetConfig, config).entry
        return [_shown(entry, value) for value in sorted(context)]


def _must_be_entry(reader: Reader, entry: Type) -> None:
    span = next(i.span for i in reader.declaration.types if i.name.value == "Entry")
    kinds = list(scalar_types(entry))
    wrong = [kind for kind in kinds if not isinstance(kind, IntegerType) and kind != BOOLEAN]
    help = "integers, Boolean, and dictionaries and tuples of these"
    if wrong:
        reader.wrong(span, f"an entry holds no {wrong[0]}", help)
    elif not kinds:
        reader.wrong(span, "an entry holds nothing", help)
    elif len(kinds) > MAX_PARTS:
        reader.wrong(span, f"an entry holds {len(kinds)} values", f"at most {MAX_PARTS}")


# ---- entries as values of the reference interpreter --------------------------


def _frozen(value: Value) -> Value:
    if isinstance(value, dict):
        return tuple(_frozen(item) for item in value.values())
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _shown(kind: Type, value: Value) -> Any:
    match kind:
        case RecordType(fields):
            pairs = zip(fields, value, strict=True)
            return {name: _shown(part, item) for (name, part), item in pairs}
        case TupleType(items):
            return [_shown(part, item) for part, item in zip(items, value, strict=True)]
    return value


# ---- entries as words of a context -------------------------------------------


def _words(kind: Type | str) -> int:
    return 2 if str(kind).endswith("64") else 1


def _described(kind: Type) -> Any:
    """The type as JSON: names of scalars, lists, and lists of [name, type] for dictionaries."""
    match kind:
        case RecordType(fields):
            return {"fields": [[name, _described(part)] for name, part in fields]}
        case TupleType(items):
            return [_described(item) for item in items]
    return str(kind)


def _leaves(described: Any) -> Iterator[str]:
    if isinstance(described, str):
        yield described
        return
    parts = described if isinstance(described, list) else [p for _, p in described["fields"]]
    for part in parts:
        yield from _leaves(part)


def _numbers(words: Iterator[int], kinds: list[str]) -> Iterator[int | bool]:
    for kind in kinds:
        value = next(words)
        if kind == "Boolean":
            yield bool(value)
            continue
        bits = 32 * _words(kind)
        if bits == 64:
            value |= next(words) << 32
        signed = kind.startswith("S") and value >> (bits - 1)
        yield value - (1 << bits) if signed else value


def _assembled(described: Any, numbers: Iterator[int | bool]) -> Any:
    if isinstance(described, str):
        return next(numbers)
    if isinstance(described, list):
        return [_assembled(part, numbers) for part in described]
    return {name: _assembled(part, numbers) for name, part in described["fields"]}
