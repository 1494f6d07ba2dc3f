"""The solution's own texts: read, their templates expanded, told apart by the names they declare,
and copied to where KSS searches for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from khs.errors import Finding
from khs.monitor.files import Location, Source, read_source

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_NAME = r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
_HEAD = re.compile(rf"\s*(?:task\s+class|entity|component|package)\s+{_NAME}", re.ASCII)
_INCLUDE = re.compile(rf"\buse\s+{_NAME}\._(?!\w)", re.ASCII)
LONGEST = 100  # characters of one word of a name: it becomes a file


@dataclass(frozen=True)
class Text:
    """One file: where it is, and what it says with its templates expanded."""

    origin: Path
    source: Source

    @property
    def expanded(self) -> bool:
        return self.source.original not in (None, self.source.text)

    @cached_property
    def plain(self) -> str:
        """The text without comments; places are kept."""
        return _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.source.text)

    @property
    def declares(self) -> str | None:
        """The name of the class, component or package that the file describes."""
        found = _HEAD.match(self.plain)
        name = found[1] if found else ""
        return name if name and all(len(word) <= LONGEST for word in name.split(".")) else None

    @property
    def includes(self) -> list[str]:
        """The policy files that this one names: `a.b` for `use a.b._`."""
        return list(dict.fromkeys(found[1] for found in _INCLUDE.finditer(self.plain)))

    def data(self) -> bytes:
        """What the copy holds: the file's own bytes unless a template was expanded."""
        return self.source.text.encode() if self.expanded else self.origin.read_bytes()

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.source.text))]

    def place(self, line: int, column: int) -> Location:
        """The place in the file of one in the copy."""
        if not self.expanded or not 1 <= line <= len(self._lines):
            return Location(str(self.origin), line, column)
        return self.source.position(self._lines[line - 1] + column - 1)


def read_text(path: Path, defines: Mapping[str, str]) -> Text:
    """Reads and expands a file; ConfigError if that cannot be done."""
    return Text(path, read_source(path, defines))


@dataclass
class Copies:
    """The files of the system that are copies, by their place in it."""

    texts: dict[PurePosixPath, Text]

    def write(self, folder: Path) -> None:
        for place, text in self.texts.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.data())

    def back(self, finding: Finding, folder: Path) -> Finding:
        """A finding in a copy below `folder`, told of the file that it is a copy of."""
        path = Path(finding.file)
        if not path.is_relative_to(folder):
            return finding
        text = self.texts.get(PurePosixPath(path.relative_to(folder).as_posix()))
        if text is None:
            return finding
        at = text.place(finding.line, finding.column)
        return replace(finding, file=at.file, line=at.line, column=at.column)
