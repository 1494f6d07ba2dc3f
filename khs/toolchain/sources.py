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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from khs.config import toml
from khs.config.model import Arch
from khs.errors import ConfigError, Finding, ImageError, shown

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
        message = f"{shown(bare)}: a program needs at least one .c or .S file"
        raise ImageError(f"{message}\n  help: {hint}")
    looked = ", ".join(map(shown, places))
    raise ImageError(f"there is no program '{name}' (looked at {looked})\n  help: {hint}")


def _is_program(folder: Path) -> bool:
    places = [folder, *(folder / arch.name.lower() for arch in Arch)]
    return (folder / "program.toml").is_file() or bool(_all(places))


def read_program(folder: Path, arch: Arch) -> ProgramSources:
    """The files of the program in `folder`; ConfigError if program.toml is wrong."""
    said = _Description(folder)
    defaults = [folder, folder / arch.name.lower()]
    sources = said.paths("sources") if "sources" in said.table else _all(defaults)
    if not sources:
        raise ImageError(f"{shown(folder)}: a program needs at least one .c or .S file")
    return ProgramSources(
        folder.name,
        folder,
        tuple(sources),
        tuple(said.paths("include")),
        tuple(sorted(said.macros().items())),
    )


def _all(folders: Sequence[Path]) -> list[Path]:
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES and path.is_file()
    ]


class _Description:
    """program.toml; nothing if there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder, path = folder, folder / "program.toml"
        self.source = toml.read(path) if path.is_file() else toml.parse("", str(path))
        self.table = self.source.data
        for name in self.table:
            if name not in _KEYS:
                close = difflib.get_close_matches(name, _KEYS, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(_KEYS)}"
                raise self.wrong(name, f"unknown key '{name}'", hint)

    def paths(self, name: str) -> list[Path]:
        """Files or folders, which are there."""
        texts = self.table.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
            raise self.wrong(name, f"'{name}' is no list of texts", f'write {name} = ["..."]')
        found = [(self.folder / text).resolve() for text in texts]
        for number, path in enumerate(found):
            if not path.exists():
                help = f"paths are relative to {shown(self.folder)}"
                raise self.wrong((name, number), f"'{texts[number]}' does not exist", help)
        return found

    def macros(self) -> dict[str, str]:
        """Names and what they stand for."""
        value = self.table.get("define", {})
        if not isinstance(value, dict):
            raise self.wrong("define", "'define' is no table", 'write define = { NAME = "value" }')
        for name, text in value.items():
            if not _MACRO.fullmatch(name) or not isinstance(text, str):
                message = f"'{name}' is no macro with a text"
                raise self.wrong(("define", name), message, 'write NAME = "value"')
        return value

    def wrong(self, path: str | tuple[str | int, ...], message: str, help: str) -> ConfigError:
        mark = self.source.mark((path,) if isinstance(path, str) else path)
        assert mark is not None, "what is wrong stands in the file"
        return ConfigError([Finding("PROG-001", "error", *mark.value, message, help)])
