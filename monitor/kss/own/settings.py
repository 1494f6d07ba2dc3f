"""The `config = { ... }` of a policy object of a user's own model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from kss import syntax
from kss.errors import did_you_mean
from kss.models.config import Reader
from kss.own import tree
from kss.own.parse import MAX_NAMES
from kss.own.tree import Config, Definition, Names, Value
from kss.types import IntegerType


def read_settings(definition: Definition, reader: Reader) -> Config | None:
    """The object's configuration; None after a finding."""
    before = len(reader.findings.items)
    reader.only_types()
    config = Config(definition, values := {})
    if definition.settings:
        node = reader.configuration()
        given = reader.fields(node, *definition.settings) if node else None
        for name, kind in definition.settings.items() if given else ():
            value = _value(reader, config, kind, given[name]) if given else None
            if value is not None:
                values[name] = value
    else:
        for item in reader.declaration.configurations:
            message = f"{definition.name} has no configuration"
            reader.wrong(item.span, message, "take it out", "PSL-061")
    return config if len(reader.findings.items) == before else None


def _value(
    reader: Reader, config: Config, kind: tree.Setting, node: syntax.Expression
) -> Value | None:
    match kind:
        case IntegerType():
            return reader.integer(node, kind.low, kind.high)
        case Names():
            return _texts(reader, node)
    if not isinstance(node, syntax.Dict):
        reader.wrong(node.span, "a table is a dictionary", '{ "name" : ["name"] }')
        return None
    found: dict[str, frozenset[str]] = {}
    for entry in node.entries:
        key = str(entry.key)
        if not _is_known(reader, config, kind.key, key, entry.span):
            continue
        if key in found:
            reader.wrong(entry.span, f'"{key}" is given twice', "merge the lists", "PSL-027")
        names = reader.texts(entry.value) or []
        found[key] = frozenset(
            name for name, span in names if _is_known(reader, config, kind.value, name, span)
        )
    return _closed(reader, config, kind, node, found) if kind.ordered else found


def _texts(reader: Reader, node: syntax.Expression) -> tuple[str, ...] | None:
    found = reader.texts(node)
    if found is None:
        return None
    if not 1 <= len(found) <= MAX_NAMES:
        reader.wrong(node.span, f"{len(found)} names", f"1 to {MAX_NAMES}")
    return tuple(name for name, _ in found)


def _is_known(reader: Reader, config: Config, names: Names, name: str, span: syntax.Span) -> bool:
    if names.parameter and names.parameter not in config.values:
        return False  # told already
    if name in config.members(names):
        return True
    message = f'"{name}" is not one of {names}'
    reader.wrong(span, message, did_you_mean(name, config.members(names)))
    return False


def _closed(
    reader: Reader,
    config: Config,
    kind: tree.Relation,
    node: syntax.Expression,
    given: Mapping[str, frozenset[str]],
) -> dict[str, frozenset[str]] | None:
    """All that can be reached from each name; a name that can be from itself is a finding."""
    if kind.key.parameter and kind.key.parameter not in config.values:
        return None
    found: dict[str, frozenset[str]] = {}
    for name in config.members(kind.key):
        reached: set[str] = set()
        pending = sorted(given.get(name, ()))
        while pending:
            each = pending.pop()
            if each not in reached:
                reached.add(each)
                pending += sorted(given.get(each, ()))
        if name in reached:
            reader.wrong(node.span, f'"{name}" leads back to itself', "an order has no circles")
        found[name] = frozenset({*reached, name})
    return found


def identity(config: Config) -> str:
    """A canonical text: equal if model and configuration are."""
    values = _canonical(config.values)
    return f"{config.definition.name} {config.definition.digest} {values}"


def _canonical(values: Mapping[str, Value]) -> str:
    sets = {
        name: {key: sorted(value) for key, value in sorted(each.items())}
        if isinstance(each, Mapping)
        else each
        for name, each in values.items()
    }
    return str(sorted(sets.items()))


def meaning(config: Config, method: str) -> str:
    """A canonical text of a method, those that it asks, and what of the configuration they use."""
    methods, used = {method: config.definition.methods[method]}, set()
    pending: list[object] = [methods[method].body]
    while pending:
        node = pending.pop()
        match node:
            case tuple():
                pending += node
                continue
            case tree.Ask(name):
                methods[name] = config.definition.methods[name]
                pending.append(methods[name].body)
            case tree.Setpoint(name) | tree.Related(name):
                used.add(name)
            case tree.Selected(_, _, tree.NameSet(tree.Names(_, name))):
                used.add(name)
        if is_dataclass(node):
            pending += [getattr(node, each.name) for each in fields(node)]
    told = [methods[name] for name in sorted(methods)]
    return f"{told} {_canonical({name: config.values[name] for name in used if name})}"
