"""Which files of a solution lie below a folder.

Links are not followed, so that nothing outside is read and no tree is endless; hidden folders and
folders that are KHS systems themselves are left out. What is left out is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from khs.errors import KhsError
from khs.importing.rules import wrong

MAX_ENTRIES = 50_000  # files and folders below the folder
MAX_FILES = 2_000  # of those that are looked into
_INITS = ("init.yaml", "init.yaml.in", "init.yml", "init.yml.in")
_DESCRIPTIONS = (".edl", ".cdl", ".idl")


@dataclass(frozen=True)
class Survey:
    """Paths below `root`, each group in the order of the names. `skipped`: what was not looked at,
    and why."""

    root: Path
    inits: list[Path] = field(default_factory=list)
    policies: list[Path] = field(default_factory=list)  # every .psl
    descriptions: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def survey(root: Path) -> Survey:
    """Looks through a folder. KhsError if it is none, ConfigError if it is endless."""
    if not root.is_dir():
        raise KhsError(f"there is no folder {root}\n  help: khs import DIR, the solution's folder")
    found = Survey(root)
    for path in _files(found):
        if path.name in _INITS:
            found.inits.append(path)
        elif suffix(path) == ".psl":
            found.policies.append(path)
        elif suffix(path) in _DESCRIPTIONS:
            found.descriptions.append(path)
    if len(found.policies) + len(found.descriptions) > MAX_FILES:
        message = f"there are more than {MAX_FILES} policy and interface files below"
        raise wrong("IMP-003", root, message, "name the folder of one solution")
    return found


def suffix(path: Path) -> str:
    """`.psl` of `security.psl` and of the template `security.psl.in`."""
    return Path(path.stem).suffix if path.suffix == ".in" else path.suffix


def distance(one: Path, other: Path) -> int:
    """Steps from one file to another through the folders around them."""
    common = len(Path(os.path.commonpath([one.parent, other.parent])).parts)
    return len(one.parent.parts) + len(other.parent.parts) - 2 * common


def nearest(paths: Iterable[Path], place: Path) -> list[Path]:
    """The paths that are nearest to the file `place`, all of them if they are equally near."""
    ranked = sorted((distance(path, place), path) for path in paths)
    return [path for steps, path in ranked if steps == ranked[0][0]]


def _files(found: Survey) -> Iterator[Path]:
    """Every regular file, folder by folder."""
    waiting, left = [found.root], MAX_ENTRIES
    while waiting:
        folder = waiting.pop()
        rows = _entries(found, folder, left)
        left -= len(rows)
        inner = []
        for row in rows:
            if row.is_file(follow_symlinks=False):
                yield Path(row.path)
            elif _is_entered(found, row):
                inner.append(Path(row.path))
        waiting += reversed(inner)


def _entries(found: Survey, folder: Path, most: int) -> list[os.DirEntry[str]]:
    """What is in a folder, by name."""
    try:
        with os.scandir(folder) as listing:
            rows = list(islice(listing, most + 1))
    except OSError as error:
        if folder == found.root:
            raise KhsError(f"cannot read {folder}: {error.strerror}") from error
        found.skipped.append((folder, f"cannot be read: {error.strerror}"))
        return []
    if len(rows) > most:
        message = f"there are more than {MAX_ENTRIES} files below"
        raise wrong("IMP-003", found.root, message, "name the folder of one solution")
    return sorted(rows, key=lambda row: row.name)


def _is_entered(found: Survey, row: os.DirEntry[str]) -> bool:
    """Is it a folder to be looked through?"""
    path = Path(row.path)
    if row.is_symlink():
        if path.name in _INITS or suffix(path) in (".psl", *_DESCRIPTIONS) or path.is_dir():
            found.skipped.append((path, "a symbolic link: links are not followed"))
        return False
    if not row.is_dir() or row.name.startswith("."):
        return False
    if (path / "system.toml").is_file():
        found.skipped.append((path, "a KHS system of its own"))
        return False
    return True
