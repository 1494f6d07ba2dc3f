"""Findings with the line that they are about, for people at a terminal.

security.psl:3:13: error PSL-012: unknown class bank.Robber
    request src=bank.Robber { grant () }
                ^^^^^^^^^^^
  help: did you mean 'bank.Teller'?
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kss.errors import Finding
from kss.source import MAX_FILE

_WIDTH = 96  # characters of a line that are shown, those around the place


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings in words, each with its line if the file can be read."""
    files = Files()
    for found in findings:
        yield files.told(str(found), found.file, found.line, found.column, found.text)


class Files:
    """The files that some findings are about, each read once."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[str, ...]] = {}

    def told(self, words: str, file: str, line: int, column: int, text: str) -> str:
        """`words`, a finding's head and perhaps its help, with the line of the file between the two
        and a mark below `text`; `line` and `column` count from 1."""
        if file not in self._lines:
            self._lines[file] = _read(file)
        lines = excerpt(self._lines[file], line, column, text)
        head, *help = words.split("\n")
        return "\n".join([head, *lines, *help])


def excerpt(lines: tuple[str, ...], line: int, column: int, text: str) -> list[str]:
    """A line and the marks below it; none where it says nothing."""
    if not 1 <= line <= len(lines) or not 1 <= column <= len(lines[line - 1]):
        return []
    whole = lines[line - 1]
    at = column - 1
    length = min(max(len(text.split("\n")[0]), 1), len(whole) - at)
    first = max(0, min(at - _WIDTH // 3, len(whole) - _WIDTH))
    last = min(len(whole), first + _WIDTH)
    length = min(length, last - at)
    before, marked, after = whole[first:at], whole[at : at + length], whole[at + length : last]
    if not (before + marked + after).strip():
        return []
    lead = _each(before, _shown).lstrip(" ") if not first else _each(before, _shown)
    start, end = "... " if first else "", " ..." if last < len(whole) else ""
    shown = _each(marked, _shown)
    return [
        f"    {start}{lead}{shown}{_each(after, _shown).rstrip()}{end}",
        f"    {' ' * len(start + lead)}{'^' * len(shown)}",
    ]


def _each(text: str, show: Callable[[str], str]) -> str:
    return "".join(map(show, text))


def _shown(character: str) -> str:
    """As wide as it is long; what would do something to a terminal in its place."""
    if character == "\t":
        return "    "
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def _read(file: str) -> tuple[str, ...]:
    """The lines of a file that is a text in UTF-8; none of others."""
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except (OSError, ValueError):
        return ()
    return () if len(data) > MAX_FILE else tuple(text.replace("\r\n", "\n").split("\n"))
