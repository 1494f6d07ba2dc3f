"""A guest program's folder: which files belong to it.

Every `.c` and `.S` file of the folder is compiled, and those in the subfolder of the architecture
(`armv7`, `x86`, `x64`). An optional `program.toml` says otherwise:

    sources = ["main.c", "../common/pid.c"]   # instead of every file
    include = ["../common"]                   # searched for headers, after the folder itself
    define = { SETPOINT = "21" }              # macros
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from khs.config.model import Arch
from khs.errors import ConfigError, Finding, ImageError

_KEYS = ("sources", "include", "define")
_SUFFIXES = (".c", ".S")
_HEADERS = (".h", ".inc", ".c", ".S")
_MACRO = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ProgramSources:
    """What one program is compiled from. `sources` are in the order of linking."""

    name: str
    folder: Path
    sources: tuple[Path, ...]
    include: tuple[Path, ...]
    define: tuple[tuple[str, str], ...]

    def inputs(self) -> Iterator[Path]:
        """Every file that can change the result: the sources and what they may include."""
        seen = set(self.sources)
        for folder in (self.folder, *self.include):
            seen |= {path for path in folder.rglob("*") if path.suffix in _HEADERS}
        yield from sorted(path for path in seen if path.is_file())


def find_program(name: str, root: Path, shipped: Path) -> Path:
    """The folder of program `name`: in `partitions/` of the system's folder, or among the shipped
    ones. A folder without sources is none: interface descriptions may lie in one of that name.
    ImageError naming the places looked at if there is no program."""
    places = (root / "partitions" / name, shipped / name)
    for folder in places:
        if _is_program(folder):
            return folder.resolve()
    folders = [path for place in places for path in place.parent.glob("*/")]
    known = sorted({path.name for path in folders if _is_program(path)} - {"sdk"})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"
    bare = next((folder for folder in places if folder.is_dir()), None)
    if bare:
        raise ImageError(f"{bare}: a program needs at least one .c or .S file\n  help: {hint}")
    looked = ", ".join(map(str, places))
    raise ImageError(f"there is no program '{name}' (looked at {looked})\n  help: {hint}")


def _is_program(folder: Path) -> bool:
    places = [folder, *(folder / arch.name.lower() for arch in Arch)]
    return (folder / "program.toml").is_file() or bool(_all(places))


def read_program(folder: Path, arch: Arch) -> ProgramSources:
    """The files of the program in `folder`; ConfigError if program.toml is wrong."""
    path = folder / "program.toml"
    table = _read_toml(path) if path.is_file() else {}
    defaults = [folder, folder / arch.name.lower()]
    named = _texts(path, table, "sources")
    sources = (
        [_inside(path, folder, text) for text in named] if "sources" in table else _all(defaults)
    )
    if not sources:
        raise ImageError(f"{folder}: a program needs at least one .c or .S file")
    include = [_inside(path, folder, text) for text in _texts(path, table, "include")]
    return ProgramSources(
        folder.name,
        folder,
        tuple(sources),
        tuple(include),
        tuple(sorted(_macros(path, table.get("define", {})).items())),
    )


def _all(folders: Sequence[Path]) -> list[Path]:
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES and path.is_file()
    ]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(path, str(error), "program.toml is a TOML file in UTF-8") from error
    for name in table:
        if name not in _KEYS:
            close = difflib.get_close_matches(name, _KEYS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(_KEYS)}"
            raise _wrong(path, f"unknown key '{name}'", hint)
    return table


def _texts(path: Path, table: dict[str, Any], name: str) -> list[str]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(path, f"'{name}' is no list of texts", f'write {name} = ["..."]')
    return value


def _inside(path: Path, folder: Path, text: str) -> Path:
    found = (folder / text).resolve()
    if not found.exists():
        raise _wrong(path, f"'{text}' does not exist", f"paths are relative to {folder}")
    return found


def _macros(path: Path, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong(path, "'define' is no table", 'write define = { NAME = "value" }')
    for name, text in value.items():
        if not _MACRO.fullmatch(name) or not isinstance(text, str):
            raise _wrong(path, f"'{name}' is no macro with a text", 'write NAME = "value"')
    return value


def _wrong(path: Path, message: str, help: str) -> ConfigError:
    return ConfigError([Finding("PROG-001", "error", str(path), 0, 0, message, help)])
