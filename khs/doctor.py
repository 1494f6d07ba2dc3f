"""What KHS needs on this machine, what it found, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from khs import resources

#: Emulators with Debian's package and the boards that they serve.
QEMU = {
    "qemu-system-arm": ("qemu-system-arm", "sabrelite"),
    "qemu-system-x86_64": ("qemu-system-x86", "q35"),
    "qemu-system-i386": ("qemu-system-x86", "pc"),
}
_QEMU_OLDEST = 7
#: Seconds for a program to say its version.
_PATIENCE_S = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One thing looked at; an `optional` one that is missing does no harm."""

    name: str
    ok: bool
    found: str
    wanted: str
    help: str = ""
    optional: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> list[Item]:
    """Every item, in the order in which people need them."""
    return [
        _python(),
        *_packages(),
        *_libraries(),
        _toolchain(),
        _compiler(),
        _cache(),
        *_files(),
        *_qemu(),
        _gdb(),
        _package("textual", ">=8", "pip install 'khs[tui]', to debug in a terminal", optional=True),
        _package("perfetto", ">=0.50", "pip install 'khs[dev]', to test pictures", optional=True),
    ]


def healthy(items: list[Item]) -> bool:
    """Whether everything that is not optional is there."""
    return all(item.ok or item.optional for item in items)


def _python() -> Item:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11) and sys.platform == "linux"
    return Item("python", ok, f"{found} on {sys.platform}", "3.11 or newer on Linux")


def _packages() -> Iterator[Item]:
    """What pyproject.toml asks for, extras not counted."""
    pip = "pip install --upgrade khs"
    for requirement in _requirements():
        name = re.match(r"[\w.-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        wanted = requirement[name.end() :].strip() or "any"
        yield _package(name[0], wanted, pip)


def _requirements() -> list[str]:
    try:
        return requires("khs") or []
    except PackageNotFoundError:  # run from the project's folder without an install
        root = resources.project()
        text = (root / "pyproject.toml").read_text(encoding="utf-8") if root else "project = {}"
        return list(tomllib.loads(text)["project"].get("dependencies", []))


def _package(name: str, wanted: str, help: str, optional: bool = False) -> Item:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Item(name, False, "not installed", wanted, help, optional)
    exact = wanted.removeprefix("==") if wanted.startswith("==") else found
    ok = found == exact
    return Item(name, ok, found, wanted, "" if ok else help, optional)


def _libraries() -> Iterator[Item]:
    for name, sources in (
        ("libkhs.so", ("khs/core", "khs/host", "monitor/vm")),
        ("libkss.so", ("monitor/vm",)),
    ):
        yield _library(name, sources)


def _library(name: str, sources: tuple[str, ...]) -> Item:
    path = resources.library(name)
    wanted = "present and as new as its sources"
    root = resources.project()
    help = "make setup" if root else "pip install --force-reinstall khs"
    if not path.is_file():
        return Item(name, False, "missing", wanted, help)
    if root is not None:
        built = path.stat().st_mtime
        files = [file for folder in sources for file in (root / folder).glob("*.[ch]")]
        newer = sorted(
            str(file.relative_to(root)) for file in files if file.stat().st_mtime > built
        )
        if newer:
            return Item(name, False, f"older than {newer[0]}", wanted, help)
    return Item(name, True, f"{path.stat().st_size // 1024} KiB", wanted)


def _toolchain() -> Item:
    help = "pip install 'khs[toolchain]', to compile guest programs; shipped ones are prebuilt"
    return _package("ziglang", "==0.17.1", help, optional=True)


def _compiler() -> Item:
    wanted = "gcc, clang or ziglang, to build the native libraries from source"
    for name in ("gcc", "clang"):
        if path := shutil.which(name):
            return Item("C compiler", True, f"{path} {_said(path, '-dumpversion')}", wanted)
    if importlib.util.find_spec("ziglang") is not None:
        return Item("C compiler", True, "ziglang", wanted, optional=True)
    return Item("C compiler", False, "none", wanted, "pip install 'khs[toolchain]'", optional=True)


def _cache() -> Item:
    from khs.toolchain import cache

    folder = cache.root()
    place: Path = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    ok = os.access(place, os.W_OK)
    help = "" if ok else "set KHS_CACHE to a folder that can be written"
    return Item("build cache", ok, str(folder), "a folder that can be written", help)


def _files() -> Iterator[Item]:
    help = "pip install --force-reinstall khs"
    for name, part, what in (
        ("sdk", "link.ld", "headers and start-up code for guest programs"),
        ("docs", "README.md", "the manual"),
    ):
        folder = resources.places()[name]
        ok = (folder / part).is_file()
        found = str(folder) if ok else f"no {folder / part}"
        yield Item(name, ok, found, what, "" if ok else help, optional=name == "docs")


def _qemu() -> Iterator[Item]:
    for name, (package, board) in QEMU.items():
        path = shutil.which(name)
        found = _said(path, "--version") if path else "not installed"
        number = re.search(r"version (\d+)\.", found)
        ok = number is not None and int(number[1]) >= _QEMU_OLDEST
        wanted = f"QEMU {_QEMU_OLDEST} or newer, for the board {board}"
        help = "" if ok else f"apt-get install {package}"
        yield Item(name, ok, found, wanted, help, optional=True)
    help = "pip install 'khs[qemu]', to control QEMU"
    yield _package("qemu.qmp", ">=0.0.3", help, optional=True)


def _gdb() -> Item:
    path = shutil.which("gdb-multiarch") or shutil.which("gdb")
    found = _said(path, "--version") if path else "not installed"
    ok = path is not None and path.endswith("multiarch")
    help = "" if ok else "apt-get install gdb-multiarch"
    wanted = "gdb-multiarch, to debug guests of every architecture"
    return Item("gdb", ok, found, wanted, help, optional=True)


def _said(path: str, option: str) -> str:
    """The first line a program prints about itself."""
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=_PATIENCE_S,
        )  # fmt: skip
    except OSError as error:
        return f"{path} cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{path} does not answer {option} within {_PATIENCE_S} s"
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        return lines[0]
    why = (done.stderr.splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"{path} does not answer {option}: {why}"
