"""Plain TOML data -> typed tables, with a finding for everything that does not fit."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from khs.config import rules
from khs.config.document import BAD, Keys, RowTable, Table, fields, hints_of, rest
from khs.config.rules import Problem, declare, suggest
from khs.config.toml import Source
from khs.config.units import Quantity, UnitError
from khs.errors import Finding

UNKNOWN = declare("KEY-001", "A table holds only the keys that the format knows.")
declare("FILE-001", "A system is a folder with system.toml, or a TOML file that can be read.")
declare("TOML-001", "A file is TOML 1.0 in UTF-8; each key and table stands once.")
MISSING = declare("KEY-002", "A mandatory key is there.")
TYPE = declare("KEY-003", "A value has the type of its key.")
CHOICE = declare("KEY-004", "A value that is one of a few words is one of them.")
declare("UNIT-001", 'A time is a text with a unit: "20ms"; ns, us, ms or s.')
declare("UNIT-002", 'A size is a text with a unit: "64KiB"; B, KiB, MiB or GiB.')
declare("UNIT-003", 'An address is a hexadecimal text: "0x5000_0000", of at most 64 bits.')
declare("UNIT-004", 'A frequency is a text with a unit: "125MHz"; Hz, kHz, MHz or GHz.')

_NOUNS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "a table",
}


class Reader:
    """Reads one source; `findings` collects what is wrong with it."""

    def __init__(self, source: Source, file: str) -> None:
        self.source = source
        self.file = file
        self.findings: list[Finding] = []

    def document(self, cls: type[Any]) -> Any:
        """The whole source as the table `cls`."""
        return self._table(cls, self.source.data, ())

    def _problem(self, rule: str, problem: Problem) -> Any:
        self.findings.append(rules.finding(self.source, self.file, rules.RULES[rule], problem))
        return BAD

    def _table(self, cls: type[Table], data: Mapping[str, Any], path: Keys) -> Any:
        hints = hints_of(cls)
        known, catch = fields(cls), rest(cls)
        values: dict[str, Any] = {"path": path}
        for name, field in known.items():
            if name in data:
                value = self._value(hints[field.name], data[name], (*path, name), field.metadata)
                values[field.name] = value
            elif field.metadata["required"]:
                values[field.name] = self._missing(name, field.metadata["doc"], path)
        extra = {name: value for name, value in data.items() if name not in known}
        if catch is not None:
            values[catch.name] = self._value(hints[catch.name], extra, path, {})
        else:
            for name in extra:
                self._unknown(cls, name, (*path, name), extra[name], list(known))
        return cls(**values)

    def _missing(self, name: str, doc: str, path: Keys) -> Any:
        where = dotted(path) or "the document"
        return self._problem(
            MISSING, Problem(path, f'{where} has no "{name}"', f"{name}: {doc}", at_key=True)
        )

    def _unknown(
        self, cls: type[Table], name: str, path: Keys, value: object, known: list[str]
    ) -> None:
        help = suggest(name, known, "keys here")
        if cls is RowTable and isinstance(value, dict):
            help = f'a key with a dot stands in quotes: "{path[-2]}.{name}"'
        self._problem(UNKNOWN, Problem(path, f'unknown key "{name}"', help, at_key=True))

    def _value(self, hint: Any, value: Any, path: Keys, meta: Mapping[str, Any]) -> Any:
        origin, args = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self._value(args[0], value, path, meta)  # X | None: TOML has no null
        if origin is Literal:
            return self._choice(args, value, path)
        if origin is tuple:
            return self._array(args[0], value, path, meta)
        if origin is dict:
            if not isinstance(value, dict):
                return self._wrong(dict, value, path)
            items = {k: self._value(args[1], v, (*path, k), {}) for k, v in value.items()}
            return BAD if any(item is BAD for item in items.values()) else items
        if hint is object:
            return value  # whatever TOML has
        if hint is float and type(value) is int:
            return float(value)
        if issubclass(hint, Table):
            is_table = isinstance(value, dict)
            return self._table(hint, value, path) if is_table else self._wrong(dict, value, path)
        if issubclass(hint, Quantity):
            return self._quantity(hint, value, path)
        return value if type(value) is hint else self._wrong(hint, value, path)

    def _wrong(self, wanted: type, value: Any, path: Keys) -> Any:
        found = _NOUNS.get(type(value), "a date or time")
        name = dotted(path[-2:] if isinstance(path[-1], int) else path[-1:])
        message = f"{name} is {found}, {self._text(path)}"
        return self._problem(TYPE, Problem(path, message, f"{name} is {_NOUNS[wanted]}"))

    def _text(self, path: Keys) -> str:
        mark = self.source.mark(path)
        text = mark.text.split("\n")[0] if mark else ""
        return text if len(text) <= 40 else text[:37] + "..."

    def _choice(self, words: tuple[str, ...], value: Any, path: Keys) -> Any:
        if not isinstance(value, str):
            return self._wrong(str, value, path)
        if value in words:
            return value
        return self._problem(
            CHOICE, Problem(path, f'unknown {path[-1]} "{value}"', suggest(value, words, "one of"))
        )

    def _array(self, hint: Any, value: Any, path: Keys, meta: Mapping[str, Any]) -> Any:
        if meta.get("one_or_many") and not isinstance(value, list):
            only = self._value(hint, value, path, {})
            return BAD if only is BAD else (only,)
        if not isinstance(value, list):
            return self._wrong(list, value, path)
        items = tuple(self._value(hint, v, (*path, i), {}) for i, v in enumerate(value))
        return BAD if any(item is BAD for item in items) else items

    def _quantity(self, cls: type[Quantity], value: Any, path: Keys) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._wrong(str, value, path)
        if not isinstance(value, str):
            what = f"is not a text with a {'unit' if cls.units else cls.noun}"
            message = f"{self._text(path)} {what}"
            return self._problem(cls.rule, Problem(path, message, f'as in "{cls.example}"'))
        try:
            return cls.parse(value)
        except UnitError as error:
            return self._problem(cls.rule, Problem(path, str(error), error.help))


def dotted(path: Keys) -> str:
    """A path as a message shows it: `schedule.normal.windows[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _is_bare(part) else f'"{part}"')
    return text


def _is_bare(name: str) -> bool:
    return bool(name) and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
