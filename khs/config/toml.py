"""TOML with positions.

tomllib decides what is TOML and what it means; it says nothing about where. The scanner here
walks the same text, already known to be valid, and notes where every key and value stands. A
document laid over another one keeps the positions of both.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khs.config.model import Position
from khs.errors import ConfigError, Finding

Path_ = tuple[str | int, ...]
LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: its key, the value itself and the text of the value."""

    key: Position
    value: Position
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed document: plain data, and a mark for the path of every key and array element."""

    data: dict[str, Any]
    marks: dict[Path_, Mark] = field(repr=False)

    def mark(self, path: Path_) -> Mark | None:
        """The mark of `path`, or of the nearest value around it that has one."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path)


def read(path: Path) -> Source:
    """Reads a file; ConfigError (FILE-001, TOML-001) if it cannot be read or is not TOML."""
    try:
        if not path.is_file():
            what = "is no file" if path.exists() else "does not exist"
            raise _file_error(path, what, "a system is a folder with system.toml, or a TOML file")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _file_error(path, f"cannot be read: {reason}", "") from None
    if len(raw) > LIMIT:
        raise _file_error(path, "is larger than 4 MiB", "is it TOML at all?")
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _syntax_error(
            str(path), line, column, "not UTF-8", "save the file in UTF-8"
        ) from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Source:
    """Parses `text`; `file` is the name that positions carry. ConfigError (TOML-001)."""
    try:
        data = tomllib.loads(text)
        return Source(data, _Scanner(text.replace("\r\n", "\n"), file).scan())
    except RecursionError:
        help = "nothing here needs more than 4 levels"
        raise _syntax_error(file, 1, 1, "values nested too deep", help) from None
    except ValueError as error:
        raise _syntax(str(error), text, file) from None


def _syntax(message: str, text: str, file: str) -> ConfigError:
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if match is None:
        return _syntax_error(file, 1, 1, message, "")
    if match[1]:
        line, column = int(match[1]), int(match[2])
    else:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    told = re.sub(r"\((?:'[^']*',? ?)+\)", _header_text, message[: match.start()])
    return _syntax_error(file, line, column, told, _syntax_help(message))


def _header_text(keys: re.Match[str]) -> str:
    """A tuple of keys in a message of tomllib, as the document writes it."""
    return "[" + ".".join(re.findall(r"'([^']*)'", keys[0])) + "]"


def _syntax_help(message: str) -> str:
    if "twice" in message or "overwrite" in message.lower() or "mutate" in message:
        return "each key and table may stand once; a variant is a second file laid over this one"
    return "see https://toml.io/en/v1.0.0; texts and quantities stand in double quotes"


def _file_error(path: Path, message: str, help: str) -> ConfigError:
    return ConfigError([Finding("FILE-001", "error", str(path), 0, 0, message, help)])


def _syntax_error(file: str, line: int, column: int, message: str, help: str) -> ConfigError:
    return ConfigError([Finding("TOML-001", "error", file, line, column, message, help)])


def overlay(base: Source, top: Source) -> Source:
    """`top` laid over `base`: tables are merged key by key, arrays and scalars replaced."""
    data, marks = dict(base.data), dict(base.marks)
    _merge(data, top.data, marks, top.marks, ())
    return Source(data, marks)


def _merge(
    data: dict[str, Any],
    top: Mapping[str, Any],
    marks: dict[Path_, Mark],
    top_marks: Mapping[Path_, Mark],
    path: Path_,
) -> None:
    for key, value in top.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            data[key] = dict(data[key])
            _merge(data[key], value, marks, top_marks, here)
            continue
        for old in _paths(here, data.get(key)):
            marks.pop(old, None)
        data[key] = value
        marks.update((new, top_marks[new]) for new in _paths(here, value))


def _paths(path: Path_, value: object) -> Iterator[Path_]:
    """The path of a value and of everything in it."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths((*path, index), inner)


_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_BASIC_LINES = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LITERAL_LINES = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL)
_STRINGS = (_BASIC_LINES, _LITERAL_LINES, _BASIC, _LITERAL)
_TOKEN = re.compile(r"[^,\]}#\n]+")


class _Scanner:
    """Notes the positions in a valid document."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.marks: dict[Path_, Mark] = {}
        self.elements: dict[Path_, int] = {}  # arrays of tables -> tables so far

    def scan(self) -> dict[Path_, Mark]:
        table: Path_ = ()
        while self._skip(_BLANK) and self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.marks

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return True

    def _position(self, at: int) -> Position:
        line = bisect_right(self.lines, at)
        return Position(self.file, line, at - self.lines[line - 1] + 1)

    def _header(self) -> Path_:
        is_element = self.text.startswith("[[", self.at)
        self.at += 2 if is_element else 1
        path: Path_ = ()
        keys = list(self._keys())
        for number, (key, start) in enumerate(keys, 1):
            path = (*path, key)
            position = self._position(start)
            mark = Mark(position, position, self.text[start : self._end_of_key(start)])
            self.marks.setdefault(path, mark)
            if is_element and number == len(keys):
                self.elements[path] = self.elements.get(path, 0) + 1
                self.marks[(*path, self.elements[path] - 1)] = mark
            if path in self.elements:
                path = (*path, self.elements[path] - 1)
        self.at += 2 if is_element else 1
        return path

    def _keys(self) -> Iterator[tuple[str, int]]:
        """The parts of a dotted key and where each begins; ends at the closing character."""
        while True:
            self._skip(_SPACE)
            start = self.at
            self.at = self._end_of_key(start)
            raw = self.text[start : self.at]
            yield (tomllib.loads(f"k={raw}")["k"] if raw[0] in "\"'" else raw), start
            self._skip(_SPACE)
            if self.text[self.at] != ".":
                return
            self.at += 1

    def _end_of_key(self, start: int) -> int:
        for pattern in (_BARE_KEY, _BASIC, _LITERAL):
            if match := pattern.match(self.text, start):
                return match.end()
        raise AssertionError("tomllib accepts only valid keys")

    def _pair(self, table: Path_) -> None:
        """`key.key = value`; the tables in between get the position of their part of the key."""
        path = table
        keys: Sequence[tuple[str, int]] = list(self._keys())
        for key, start in keys:
            path = (*path, key)
            position = self._position(start)
            raw = self.text[start : self.at].strip()
            self.marks.setdefault(path, Mark(position, position, raw))
        self.at += 1  # =
        self._skip(_SPACE)
        self._value(path, self._position(keys[-1][1]))

    def _value(self, path: Path_, key: Position) -> None:
        start = self.at
        character = self.text[start]
        if character == "[":
            self._array(path)
        elif character == "{":
            self._inline_table(path)
        else:
            self.at = self._end_of_scalar(start)
        raw = self.text[start : self.at]
        self.marks[path] = Mark(key, self._position(start), raw)

    def _end_of_scalar(self, start: int) -> int:
        for pattern in _STRINGS:
            if match := pattern.match(self.text, start):
                return match.end()
        match = _TOKEN.match(self.text, start)
        assert match is not None, "tomllib accepts only valid values"
        return start + len(match[0].rstrip())

    def _array(self, path: Path_) -> None:
        self.at += 1
        index = 0
        while self._skip(_BLANK) and self.text[self.at] != "]":
            self._value((*path, index), self._position(self.at))
            index += 1
            self._skip(_BLANK)
            self.at += self.text[self.at] == ","
        self.at += 1

    def _inline_table(self, path: Path_) -> None:
        self.at += 1
        while self._skip(_SPACE) and self.text[self.at] != "}":
            self._pair(path)
            self._skip(_SPACE)
            self.at += self.text[self.at] == ","
        self.at += 1
