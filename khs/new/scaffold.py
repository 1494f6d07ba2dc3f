"""A complete small system from templates: it checks, builds and boots as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

from khs import resources
from khs.errors import KhsError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


def scaffold(name: str, folder: Path) -> tuple[Path, ...]:
    """Writes the system `name` into `folder`, which must be new or empty; returns the files.

    The classes of the system are in a package of its name, with `_` for `-`. KhsError if the name
    is none or the folder holds something.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise KhsError(
            f"'{name}' is no name for a system\n"
            f"  help: lower-case letters, digits and single '-', at most {_LONGEST}: tank-control"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise KhsError(f"{folder} is not empty\n  help: choose a folder that does not exist yet")
    words = {"name": name, "package": name.replace("-", "_")}
    written = []
    try:
        for source, place in _templates(words["package"]):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            text = Template(source.read_text(encoding="utf-8")).substitute(words)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise KhsError(f"cannot write {error.filename}: {error.strerror}") from error
    return tuple(written)


def _templates(package: str) -> Iterator[tuple[Path, Path]]:
    """Each template and where it goes: the folder `package` gets the package's name."""
    root = resources.shipped("templates")
    for path in sorted(root.rglob("*")):
        if path.is_file():
            first, *rest = path.relative_to(root).parts
            yield path, Path(package if first == "package" else first, *rest)
