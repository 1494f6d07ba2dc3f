"""How many lines of code one has to trust: counted from the sources, or as counted when the
package was made.

A line counts if something other than blanks and comments is on it. The trusted base is the core,
the policy VM and one board's port; the part that runs it inside this process is counted apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from khs.resources import project

#: What setup.py counts for a package, which has no sources.
_COUNTED = Path(__file__).parent / "trusted_lines.json"
_SUFFIXES = (".c", ".h", ".S", ".ld")
_TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'""", re.DOTALL | re.VERBOSE
)


def count(text: str) -> int:
    """Lines of C, assembler or linker script that are neither blank nor comment."""

    def without_comment(match: re.Match[str]) -> str:
        found = match.group()
        return "\n" * found.count("\n") + " " if found[:2] in ("/*", "//") else found

    return sum(bool(line.strip()) for line in _TOKEN.sub(without_comment, text).splitlines())


def count_folders(folders: Iterable[Path]) -> int:
    """Lines of the sources right in these folders."""
    return sum(
        count(path.read_text(encoding="utf-8", errors="replace"))
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES
    )


def count_project(root: Path) -> dict[str, int]:
    """Lines of each part, ports as `port/<architecture>`."""
    firmware = root / "boards" / "firmware"
    parts = {
        "core": [root / "khs" / "core"],
        "vm": [root / "monitor" / "vm"],
        "host": [root / "khs" / "host"],
    }
    for name, folders in (("armv7", ("armv7",)), ("x64", ("x64", "pc")), ("x86", ("x86", "pc"))):
        parts[f"port/{name}"] = [firmware / "common", *(firmware / folder for folder in folders)]
    return {name: count_folders(folders) for name, folders in parts.items()}


@dataclass(frozen=True, slots=True)
class Lines:
    """`board` is 0 if there is no port for the architecture yet; `host` is no part of the base."""

    core: int
    vm: int
    board: int
    host: int

    def trusted(self) -> dict[str, int]:
        """The trusted base by part."""
        return {"core": self.core, "vm": self.vm, "board": self.board}


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """The trusted base as `Lines.trusted` has it; an archive keeps names sorted. KeyError or
    ValueError for one that says something else."""
    ordered = {name: counts[name] for name in ("core", "vm", "board")}
    if not all(type(count) is int for count in ordered.values()):
        raise ValueError("trusted_lines are no counts")
    return ordered


def lines_for(arch: str) -> Lines:
    """What a system for boards of `arch` has to trust."""
    root = project()
    if root is not None:
        counts = count_project(root)
    else:
        counts = json.loads(_COUNTED.read_text()) if _COUNTED.is_file() else {}
    parts = ("core", "vm", f"port/{arch}", "host")
    return Lines(*(counts.get(part, 0) for part in parts))
