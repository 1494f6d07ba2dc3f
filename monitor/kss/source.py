"""Source files: reading them, and finding them in include directories."""

from __future__ import annotations

import codecs
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kss.binary import format_of
from kss.errors import Findings, Location, did_you_mean

PACKAGE = Path(__file__).parent
SDK = PACKAGE / "sdk"
MAX_FILE = 8 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an expanded text: where it begins there, and where in the file. What is not
    `verbatim` stands for the one place `origin`."""

    start: int
    origin: int
    verbatim: bool


@dataclass(frozen=True)
class Source:
    """A file's text. `name` is how findings call the file.

    If the file was a template, `text` is what came out of it, `original` what the file says, and
    `pieces` tells what came from where.
    """

    name: str
    text: str
    original: str | None = None
    pieces: tuple[Piece, ...] = ()

    @cached_property
    def _lines(self) -> list[int]:
        """Index of the first character of each line of the file."""
        text = self.text if self.original is None else self.original
        return [0, *(match.end() for match in re.finditer("\n", text))]

    @cached_property
    def _starts(self) -> list[int]:
        return [piece.start for piece in self.pieces]

    def position(self, index: int) -> Location:
        """The place in the file of a character of the text."""
        if self.pieces:
            piece = self.pieces[max(bisect_right(self._starts, index) - 1, 0)]
            index = piece.origin + (index - piece.start if piece.verbatim else 0)
        line = bisect_right(self._lines, index)
        return Location(self.name, line, index - self._lines[line - 1] + 1)


def read_source(path: Path, findings: Findings) -> Source | None:
    """The file's text, None (and a finding) if it is no text in UTF-8 of a sane size."""
    start = Location(str(path), 1, 1)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        findings.error("SRC-001", start, f"cannot read {path}: {reason}", "is it there?")
        return None
    return source_of(str(path), data, findings)


def source_of(name: str, data: bytes, findings: Findings) -> Source | None:
    """What the bytes say, line ends as \\n; None (and a finding) as for `read_source`."""
    start = Location(name, 1, 1)
    if len(data) > MAX_FILE:
        message = f"the file has more than {MAX_FILE >> 20} MiB"
        findings.error("SRC-006", start, message, "split it: a policy may include others")
        return None
    if (format := format_of(data)) is not None:
        message = f"this is a compiled policy (format {format})"
        help = "give the .psl file; kss verify tells what is in this one"
        findings.error("SRC-002", start, message, help)
        return None
    try:
        data = data.removeprefix(codecs.BOM_UTF8)
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").split("\n")
        at = Location(name, len(before), len(before[-1]) + 1)
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        help = "save the file as UTF-8" + (": this is UTF-16" if utf16 else "")
        findings.error("SRC-002", at, f"byte 0x{data[error.start]:02x} is not UTF-8", help)
        return None
    source = Source(name, text.replace("\r\n", "\n"))
    _must_show_what_it_says(source, findings)
    return source


def _must_show_what_it_says(source: Source, findings: Findings) -> None:
    """Characters that make an editor show the text in another order than it is read."""
    for match in re.finditer("[\u202a-\u202e\u2066-\u2069]", source.text):
        message = f"character U+{ord(match[0]):04X} changes the order in which the line is shown"
        findings.warning("SRC-007", source.position(match.start()), message, "take it out")


# Makes one source of another: a template's text of what the file says.
Expand = Callable[[Source, Findings], Source]


class Search:
    """Include directories. A dotted name is a path below one; the SDK is searched last.

    Where no directory has `a/b/C.edl`, a file `C.edl` directly in one may stand in for it: the
    caller checks that it declares the name.
    """

    def __init__(self, include: Iterable[Path], expand: Expand | None = None) -> None:
        self.directories = (*dict.fromkeys(Path(item) for item in include), SDK)
        self._expand = expand
        self._names: dict[str, list[str]] = {}
        self._settled: dict[tuple[str, str], Path] = {}

    def settle(self, name: str, path: Path) -> None:
        """Has a name lead to a file, wherever it lies."""
        self._settled[name, path.suffix] = path

    def read(self, path: Path, findings: Findings) -> Source | None:
        """A file found here, its template expanded; None after a finding."""
        source = read_source(path, findings)
        return self._expand(source, findings) if source and self._expand else source

    def ours(self, path: Path) -> bool:
        """Whether a file is one of those that KSS brings along."""
        return path.is_relative_to(SDK)

    def exact(self, name: str, suffix: str) -> Path | None:
        if settled := self._settled.get((name, suffix)):
            return settled
        relative = _path(name, suffix)
        return next((d / relative for d in self.directories if _is_file(d / relative)), None)

    def flat(self, name: str, suffix: str) -> Iterator[Path]:
        base = _path(name.split(".")[-1], suffix)
        return (d / base for d in self.directories[:-1] if _is_file(d / base))

    def hint(self, name: str, suffix: str) -> str:
        """What to do about a name that has no file."""
        relative = _path(name, suffix)
        for folder in self._folders_near:
            if _is_file(folder / relative):
                return f"{relative} is in {folder}, which is not searched: -I {folder}"
        searched = dict.fromkeys(os.path.normpath(d) for d in self.directories[:-1])
        help = f"write {relative} in {' or '.join(searched)}, or " if searched else ""
        help += f"add the folder of {relative} with -I"
        return did_you_mean(name, self.names(suffix), help)

    @cached_property
    def _folders_near(self) -> list[Path]:
        """Folders in and beside that of the policy."""
        start = [*self.directories[:-1], Path()][0]
        near: list[Path] = []
        for pattern in ("*/", "*/*/", "../*/"):
            found = (Path(os.path.normpath(path)) for path in start.glob(pattern))
            near += sorted(path for path in found if not path.name.startswith("."))
        return near

    def names(self, suffix: str) -> list[str]:
        """Dotted names of the files with this suffix, for suggestions."""
        if suffix not in self._names:
            found = {
                ".".join(path.relative_to(directory).with_suffix("").parts)
                for directory in self.directories
                for pattern in (f"*{suffix}", f"*/*{suffix}", f"*/*/*{suffix}")
                for path in directory.glob(pattern)
            }
            self._names[suffix] = sorted(found)
        return self._names[suffix]


def _path(name: str, suffix: str) -> Path:
    """Where a dotted name lies below a folder; a name may be anything, dots alone too."""
    *folders, last = name.split(".")
    return Path(*folders, f"{last}{suffix}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False
