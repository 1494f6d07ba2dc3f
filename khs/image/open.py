"""What a command's SYSTEM argument means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from khs import config
from khs.errors import ImageError
from khs.image.archive import Archive
from khs.image.build import build
from khs.resources import shipped
from khs.toolchain import Progress

_DOCUMENT = "system.toml"


def find_system(argument: str | Path) -> Path:
    """The document or archive that SYSTEM names: a folder with system.toml, a `.toml` file, an
    archive, or the name of a shipped image. ImageError if there is none."""
    path = Path(argument)
    if path.is_dir():
        document = path / _DOCUMENT
        if not document.is_file():
            raise ImageError(f"{path}: there is no {_DOCUMENT} in this folder")
        return document
    if path.is_file():
        return path
    images = shipped("images")
    if len(path.parts) == 1 and (images / path / _DOCUMENT).is_file():
        return images / path / _DOCUMENT
    known = sorted(each.parent.name for each in images.glob(f"*/{_DOCUMENT}"))
    close = difflib.get_close_matches(str(argument), known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"shipped systems: {', '.join(known)}"
    raise ImageError(
        f"{argument}: no folder with {_DOCUMENT}, no archive, and no shipped system\n  help: {hint}"
    )


def open_system(
    argument: str | Path,
    overlays: Sequence[Path] = (),
    board: str | None = None,
    *,
    release: bool = False,
    progress: Progress | None = None,
) -> Archive:
    """The archive that SYSTEM names, built if it is a description."""
    path = find_system(argument)
    if path.suffix == ".toml":
        system = config.load(path, overlays=overlays, board=board)
        return build(system, release=release, progress=progress)
    archive = Archive.read(path)
    if overlays or (board is not None and board != archive.manifest.get("board")):
        raise ImageError(
            f"{path}: an archive is built for board {archive.manifest.get('board')} and cannot be "
            "changed\n  help: give the folder with system.toml, or build another archive"
        )
    return archive
