"""Rules about names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from khs.config.document import Document, Keys
from khs.config.rules import Context, Problem, Problems, rule

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,47}")


def _groups(document: Document) -> Iterator[tuple[str, list[tuple[Keys, str]]]]:
    """The names that stand beside each other, with the noun of what they name."""
    tables: dict[str, Mapping[str, object]] = {
        "schedule": document.schedule,
        "partition": document.partition,
        "region": document.region,
        "channel": document.channel,
        "input": document.input,
    }
    for noun, group in tables.items():
        yield noun, [((noun, name), name) for name in group]


@rule("NAME-001", Context.whole)
def syntax(c: Context, document: Document) -> Problems:
    """A name is a letter and then letters, digits, `-` or `_`, at most 48 in all."""
    names = [named for _, group in _groups(document) for named in group]
    names.append((("system", "name"), document.system.name))
    names += [(("system", "policies", name), name) for name in document.system.policies]
    for path, name in names:
        if not _NAME.fullmatch(name):
            fixed = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_0123456789")[:48]
            help = "a letter, then letters, digits, - or _, at most 48"
            example = f'; e.g. "{fixed}"' if fixed else ""
            yield Problem(path, f'"{name}" is not a name', help + example, at_key=path[-1] == name)


@rule("NAME-002", Context.whole, "warning")
def distinct(c: Context, document: Document) -> Problems:
    """Two names of a kind differ in more than case and `-` or `_`: constants and file names made
    of them would be the same."""
    for noun, group in _groups(document):
        seen: dict[str, str] = {}
        for path, name in group:
            first = seen.setdefault(name.lower().replace("-", "_"), name)
            if first != name:
                yield Problem(
                    path,
                    f'{noun} "{name}" differs from "{first}" in case or "-" and "_" alone',
                    "give one of them another name",
                    at_key=True,
                )
