"""Stock gdbs on systems on Unicorn; where there is none, the tests say so. The library that is
tested is that of the sources as they are, see tests/host."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from khs import runs
from khs.config.model import Arch
from khs.debug.gdb import NoGdbError, find_gdb
from khs.debug.live import Debuggee, Outcome, debug
from khs.debug.session import Options
from khs.image import Archive, open_system
from tests.host.conftest import _library as _library

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "images/iot-gateway/system.toml"
BOARDS = {"sabrelite": Arch.ARMV7, "q35": Arch.X64, "pc": Arch.X86}


@cache
def archive(system: str, board: str | None = None, *overlays: str) -> Archive:
    """A system of images/, built for a board."""
    folder = ROOT / "images" / system
    return open_system(str(folder), [folder / name for name in overlays], board)


def debuggee(
    system: str = "iot-gateway", board: str | None = None, *overlays: str, frames: int = 6
) -> Debuggee:
    """A system with its texts, as `khs debug` has it."""
    place = ROOT / "images" / system / "system.toml"
    plan = runs.plan(archive(system, board, *overlays), frames=frames)
    return Debuggee.explained(plan, place, [place.parent / name for name in overlays], [])


def gdbs() -> dict[str, str | None]:
    """By what the tests call them: Debian's, and a newer one of the package gdb-for-pwndbg or that
    KHS_GDB names."""
    newer = os.environ.get("KHS_GDB") or str(Path(sys.executable).with_name("gdb"))
    return {"debian": shutil.which("gdb-multiarch"), "newer": shutil.which(newer)}


@pytest.fixture(params=gdbs())
def gdb(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each gdb, if it is there; `khs` finds it as gdb-multiarch."""
    use_gdb(request.param, tmp_path, monkeypatch)
    return str(request.param)


def use_gdb(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gdbs()[which]
    if path is None:
        name = "gdb-multiarch (apt-get)" if which == "debian" else "gdb-for-pwndbg (pip)"
        pytest.skip(f"there is no {name}")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gdb-multiarch").symlink_to(path)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("KHS_GDB", raising=False)
    try:
        find_gdb(*BOARDS.values())
    except NoGdbError as error:
        pytest.skip(str(error))


Debugged = Callable[..., tuple[str, Outcome]]


@pytest.fixture
def debugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debugged:
    """Runs commands in gdb; returns what gdb printed and what came of the session. Debian's gdb,
    unless the test has another one."""
    if not (tmp_path / "bin").exists():
        use_gdb("debian", tmp_path, monkeypatch)

    def run(commands: str, *debuggees: Debuggee, status: int = 0) -> tuple[str, Outcome]:
        file, output = tmp_path / "commands.gdb", tmp_path / "output"
        file.write_text(commands, encoding="utf-8")
        with output.open("wb") as stream:
            asked = Options([file], output=stream)
            done = debug(debuggees or [debuggee()], asked, lambda text: None)
        text = output.read_text(encoding="utf-8")
        assert done.status == status, text
        return text, done

    return run


def trying(*commands: str) -> str:
    """A command file that goes on behind an error, and tells of it."""
    lines = (
        f"try: gdb.execute({each!r})\nexcept gdb.error as error: print(f'FAILED {each}: {{error}}', flush=True)"
        for each in commands
    )
    return "python\n" + "\n".join(lines) + "\nend\n"


def found(pattern: str, text: str) -> Sequence[str]:
    """All that matches, line by line."""
    return re.findall(pattern, text, re.MULTILINE)
