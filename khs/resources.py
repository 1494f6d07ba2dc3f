"""Where the files that KHS ships are: in the project's folder, or inside the installed package.

    kind         project            installed
    boards       boards/            khs/_data/boards/
    partitions   partitions/        khs/_data/partitions/     the SDK and the guest programs
    images       images/            khs/_data/images/         bootable systems
    docs         docs/              khs/_data/docs/           the manual
    templates    khs/new/templates/ khs/new/templates/
    cache        -                  khs/_data/cache/          prebuilt guest programs, firmware
    sources      .                  khs/_data/                what firmware is built from
    syscalls     khs/abi/syscalls/  khs/abi/syscalls/         names for gdb

A leaf: it imports nothing of KHS.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

Kind = Literal[
    "boards", "partitions", "images", "docs", "templates", "cache", "sources", "syscalls"
]

_IN_PACKAGE = {"templates": "new/templates", "syscalls": "abi/syscalls"}


@cache
def project() -> Path | None:
    """The project's folder if KHS runs from it, else None."""
    root = _package().parent
    return root if (root / "partitions" / "sdk").is_dir() else None


def shipped(kind: Kind) -> Path:
    """The folder of one kind of shipped files; it may be missing (`cache` in the project)."""
    if kind in _IN_PACKAGE:
        return _package() / _IN_PACKAGE[kind]
    root, data = project(), _package() / "_data"
    if kind == "sources":
        return root or data
    return root / kind if root and kind != "cache" else data / kind


def places() -> dict[str, Path]:
    """Folders that people need by name: `khs doctor --where NAME` prints one."""
    return {
        "sdk": shipped("partitions") / "sdk",
        "docs": shipped("docs"),
        "images": shipped("images"),
        "boards": shipped("boards"),
        "gdb": shipped("syscalls").parent,
    }


def library(name: str) -> Path:
    """A native library: `libkhs.so`, or `libkss.so` of the security monitor."""
    package = "kss" if name == "libkss.so" else "khs"
    return Path(str(files(package))) / "_lib" / name


def _package() -> Path:
    return Path(str(files("khs")))
