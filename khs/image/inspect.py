"""Checks a built archive, without the files it was built from."""

from __future__ import annotations

from pathlib import Path

from khs import config
from khs.config.model import Arch, Right
from khs.engine import native
from khs.engine.unicorn import Machine
from khs.errors import ConfigError, EngineError, Finding, ImageError
from khs.image import elf
from khs.image.archive import Archive
from khs.image.scan import scan


def check(archive: Archive, path: Path) -> list[Finding]:
    """Findings about a whole archive, placed in `path`: its document, its programs, and whether
    the kernel takes it up to tick 0. EngineError if there is no kernel on this machine."""
    findings = config.check_text(archive.document, archive.board, path)
    for name, data in archive.elfs.items():
        findings += _program(archive, path, name, data)
    return findings + _kernel(archive, path)


def damaged(path: Path, error: ImageError) -> Finding:
    """The finding about a file that is no archive, or no longer one."""
    message, _, help = str(error).removeprefix(f"{path}: ").partition("\n  help: ")
    return _finding("ARCHIVE-001", path, message, help)


def release(archive: Archive, path: Path) -> list[Finding]:
    """Findings about an archive that shall be released."""
    if archive.manifest.get("release"):
        return []
    message = "it was not built for release: programs need not be what the document pins"
    return [_finding("ARCHIVE-003", path, message, "build it with khs build --release")]


def _program(archive: Archive, path: Path, name: str, data: bytes) -> list[Finding]:
    member = f"elf/{name}.elf"
    arch = Arch[archive.manifest["arch"].upper()]
    about = archive.manifest["partitions"].get(name, {})
    try:
        program = elf.read(data, arch, member, about.get("sha256"))
        found = [
            each
            for segment in program.segments
            if Right.X in segment.rights
            for each in scan(program, segment.address, segment.data)
        ]
    except ConfigError as error:
        found = list(error.findings)
    return [_finding(each.rule, path, f"{member}: {each.message}", each.help) for each in found]


def _kernel(archive: Archive, path: Path) -> list[Finding]:
    native.library()
    try:
        with Machine(archive) as machine:
            machine.host.boot()
    except EngineError as error:
        help = "build it again with khs build"
        return [_finding("ARCHIVE-002", path, f"the kernel does not take it: {error}", help)]
    return []


def _finding(rule: str, path: Path, message: str, help: str) -> Finding:
    return Finding(rule, "error", str(path), 0, 0, message, help)
