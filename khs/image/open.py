"""What a command's SYSTEM argument means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from khs import config
from khs.errors import ConfigError, Finding, ImageError
from khs.image import inspect
from khs.image.archive import Archive
from khs.image.build import build, check, check_policies
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
            raise ImageError(f"{path}: there is no {_DOCUMENT} in this folder{_recorded(path)}")
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


def _recorded(folder: Path) -> str:
    """More about a folder that `khs run --record` wrote."""
    archive = folder / "system.khs"
    if not archive.is_file():
        return ""
    if not (folder / "run.json").is_file():
        return (
            f": a recording that is not complete, without run.json\n  help: {archive} is its system"
        )
    return (
        f": it is a recorded run\n  help: khs replay {folder} and khs debug {folder} run it again; "
        f"{archive} is its system"
    )


def is_description(path: Path) -> bool:
    """Is it a document, and no archive?"""
    return path.suffix == ".toml"


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
    if is_description(path):
        system = config.load(path, overlays=overlays, board=board)
        return build(system, release=release, progress=progress)
    archive = _read(path, overlays, board)
    _raise_errors(inspect.release(archive, path) if release else [])
    return archive


def check_system(
    argument: str | Path,
    overlays: Sequence[Path] = (),
    board: str | None = None,
    *,
    release: bool = False,
) -> list[Finding]:
    """Everything wrong with what SYSTEM names; nothing is compiled, and no guest runs."""
    path = find_system(argument)
    if is_description(path):
        return config.check(
            path,
            overlays=overlays,
            board=board,
            release=release,
            also=(check,),
            anyway=(check_policies,),
        )
    try:
        archive = Archive.read(path)
    except ImageError as error:
        return [inspect.damaged(path, error)]
    _refuse_changes(archive, path, overlays, board)
    findings = inspect.check(archive, path)
    return findings + (inspect.release(archive, path) if release else [])


def resolve_system(
    argument: str | Path, overlays: Sequence[Path] = (), board: str | None = None
) -> str:
    """The effective document of what SYSTEM names."""
    path = find_system(argument)
    if is_description(path):
        return config.resolve(path, overlays=overlays, board=board)
    return _read(path, overlays, board).document


def _read(path: Path, overlays: Sequence[Path], board: str | None) -> Archive:
    archive = Archive.read(path)
    _refuse_changes(archive, path, overlays, board)
    return archive


def _refuse_changes(
    archive: Archive, path: Path, overlays: Sequence[Path], board: str | None
) -> None:
    if overlays or (board is not None and board != archive.manifest["board"]):
        raise ImageError(
            f"{path}: an archive is built for board {archive.manifest['board']} and cannot be "
            "changed\n  help: give the folder with system.toml, or build another archive"
        )


def _raise_errors(findings: list[Finding]) -> None:
    if findings:
        raise ConfigError(findings)
