"""The effective document as TOML: overlays applied, defaults written out, one spelling.

What it prints reads back to the same document, and printing that gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from khs.config.document import Document, RowTable, Table, fields, hints_of, rest
from khs.config.units import Quantity

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def render(document: Document) -> str:
    """The document as text; UnreadableError if a value could not be read."""
    return "\n".join(_section((), document)).strip("\n") + "\n"


def _section(path: tuple[str, ...], table: Table) -> Iterator[str]:
    """The lines of a table and of the sections in it."""
    entries = dict(_entries(table))
    inner = {name: value for name, value in entries.items() if _is_section(path, value)}
    lines = [f"{_key(name)} = {_value(v)}" for name, v in entries.items() if name not in inner]
    if path and (lines or not inner):
        yield f"\n[{_path(path)}]"
    yield from lines
    for name, value in inner.items():
        here = (*path, name)
        if isinstance(value, Table):
            yield from _section(here, value)
        elif _is_rows(value):
            yield f"\n[{_path(here)}]"
            yield from (f"{_key(key)} = {_value(row)}" for key, row in value.items())
        else:
            for key, element in value.items():
                yield from _section((*here, key), element)


def _entries(table: Table) -> Iterator[tuple[str, Any]]:
    """Keys and values of a table, without those that are not there."""
    hints = hints_of(type(table))
    for name, field in fields(type(table)).items():
        value = getattr(table, field.name)
        if value is not None and not (value == {} and _holds_tables(hints[field.name])):
            yield name, value
    catch = rest(type(table))
    if catch is not None:
        yield from getattr(table, catch.name).items()


def _holds_tables(hint: Any) -> bool:
    return any(isinstance(arg, type) and issubclass(arg, Table) for arg in get_args(hint))


def _is_section(path: tuple[str, ...], value: Any) -> bool:
    """Does it get a header of its own? Tables of the document do, and names of tables."""
    if isinstance(value, Table):
        return not path
    return isinstance(value, dict) and any(isinstance(item, Table) for item in value.values())


def _is_rows(value: Mapping[str, Any]) -> bool:
    return any(isinstance(item, RowTable) for item in value.values())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Quantity):
        return f'"{value}"'
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return _array(value)
    entries = dict(_entries(value)) if isinstance(value, Table) else value
    inner = ", ".join(f"{_key(name)} = {_value(item)}" for name, item in entries.items())
    return f"{{ {inner} }}" if inner else "{}"


def _array(items: tuple[Any, ...]) -> str:
    texts = [_value(item) for item in items]
    if any(isinstance(item, Table) for item in items):
        return "[\n" + "".join(f"  {text},\n" for text in texts) + "]"
    return f"[{', '.join(texts)}]"


def quoted(text: str) -> str:
    """A text as a basic string of TOML."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else quoted(name)


def _path(path: tuple[str, ...]) -> str:
    return ".".join(map(_key, path))
