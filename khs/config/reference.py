"""The generated parts of docs/configuration.md: every key, every rule.

`python -m khs.config.reference docs/configuration.md` brings the file up to date.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from khs.config import checks
from khs.config.document import BoardDocument, Document, Table, fields, hints_of, rest
from khs.config.model import ERRORS, PRIVILEGES
from khs.config.rules import RULES
from khs.config.units import Address, Duration, Frequency, Quantity, Size

_TYPES: dict[Any, str] = {
    str: "text",
    bool: "true, false",
    int: "integer",
    Duration: "time",
    Size: "size",
    Address: "address",
    Frequency: "frequency",
}
_SUBJECTS = {
    "FILE": "files",
    "TOML": "TOML",
    "KEY": "keys",
    "UNIT": "units",
    "FORMAT": "format",
    "NAME": "names",
    "BOARD": "board",
    "TIME": "times",
    "SCHED": "schedules",
    "PART": "partitions",
    "SPACE": "memory",
    "CHAN": "channels",
    "HEALTH": "health monitor",
    "POLICY": "policy",
    "RUN": "runs",
    "INPUT": "inputs",
}
assert checks.__all__, "importing the checks registers the rules"


def parts() -> dict[str, str]:
    """The generated parts by name."""
    return {
        "keys": "\n".join(_tables(Document, "")),
        "board keys": "\n".join(_tables(BoardDocument, "")),
        "words": "\n".join(_words()),
        "rules": "\n".join(_rules()),
    }


def update(text: str) -> str:
    """The page with its generated parts made new."""
    for name, part in parts().items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
        text, count = re.subn(pattern, lambda m, p=part: f"{m[1]}{p}\n{m[2]}", text, flags=re.S)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the page has {count} parts {name}")
    return text


def _tables(cls: type[Table], path: str) -> Iterator[str]:
    """A section for the table and one for each table in it."""
    hints = hints_of(cls)
    if path:
        yield f"\n### {path}\n\n{cls.__doc__}\n"
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        yield from (_row(name, hints[f.name], f.metadata) for name, f in fields(cls).items())
        if (catch := rest(cls)) is not None:
            yield f"| *{catch.metadata['others']}* | table | | {catch.metadata['doc']} |"
    for name, field in fields(cls).items():
        inner, shape = _inner(hints[field.name])
        if inner is not None:
            yield from _tables(inner, _inner_path(path, name, shape))
    if (catch := rest(cls)) is not None and (row := _inner(hints[catch.name])[0]) is not None:
        yield from _tables(row, f"{path}.*ERROR*")


def _inner(hint: Any) -> tuple[type[Table] | None, str]:
    """The table in a type, and how it lies there: "table", "named" or "array"."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _inner(args[0])
    if origin is dict:
        return (args[1], "named") if _is_table(args[1]) else (None, "")
    if origin is tuple:
        return (args[0], "array") if _is_table(args[0]) else (None, "")
    return (hint, "table") if _is_table(hint) else (None, "")


def _is_table(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Table)


def _inner_path(path: str, name: str, shape: str) -> str:
    joined = f"{path}.{name}" if path else name
    return joined + {"table": "", "named": ".*NAME*", "array": "[]"}[shape]


def _row(name: str, hint: Any, meta: Any) -> str:
    default = "mandatory" if meta["required"] else meta["shows"]
    return f"| `{name}` | {_type(hint, meta)} | {default or _default(meta)} | {meta['doc']} |"


def _default(meta: Any) -> str:
    value = meta["default"]
    if value is None or isinstance(value, Table):
        return ""
    if isinstance(value, tuple):
        items = ", ".join(f'"{item}"' for item in value)
        return f"`[{items}]`"
    if isinstance(value, dict):
        return "`{}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str | Quantity) else f"`{value}`"


def _type(hint: Any, meta: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _type(args[0], meta)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in args)
    if origin is tuple:
        several = f"array of {_type(args[0], {})}s"
        return f"{_type(args[0], {})}, or {several}" if meta.get("one_or_many") else several
    if origin is dict:
        return f"table of {_type(args[1], {})}s"
    return _TYPES.get(hint, "table")


def _words() -> Iterator[str]:
    yield f"- privileges: {', '.join(f'`{word}`' for word in PRIVILEGES)}"
    yield f"- errors: {', '.join(f'`{word}`' for word in ERRORS)}"


def _rules() -> Iterator[str]:
    for prefix, subject in _SUBJECTS.items():
        yield f"\n### {prefix}: {subject}\n\n| rule | severity | what it asks for |\n|---|---|---|"
        own = (RULES[id] for id in sorted(RULES) if id.partition("-")[0] == prefix)
        yield from (f"| {r.id} | {r.severity} | {' '.join(r.text.split())} |" for r in own)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(update(page.read_text(encoding="utf-8")), encoding="utf-8")
