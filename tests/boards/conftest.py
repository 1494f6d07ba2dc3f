"""Systems on emulated boards; where there is no QEMU, the tests say so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.engine.qemu.board import PROFILES
from khs.image import Archive, open_system
from khs.toolchain.firmware import build_firmware

ROOT = Path(__file__).parents[2]
BOARDS = {"sabrelite": Arch.ARMV7, "q35": Arch.X64, "pc": Arch.X86}


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> str:
    """Each board, if its emulator is installed."""
    name: str = request.param
    need_emulator(name)
    return name


def need_emulator(board: str) -> None:
    profile = PROFILES[BOARDS[board]]
    if shutil.which(profile.binary) is None:
        pytest.skip(f"{profile.binary} is not installed: apt-get install {profile.package}")


@cache
def archive(system: str, board: str, *overlays: str) -> Archive:
    """A system of images/, built for a board."""
    folder = ROOT / "images" / system
    return open_system(str(folder), [folder / name for name in overlays], board)


@cache
def firmware(board: str) -> bytes:
    return build_firmware(BOARDS[board])


def changed_firmware(folder: Path, arch: Arch, change: tuple[str, str, str]) -> bytes:
    """A firmware with an error in it: file, what stands there, what shall stand there."""
    for name in ("khs/core", "monitor/vm", "boards/firmware"):
        shutil.copytree(ROOT / name, folder / name)
    file, before, after = change
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(before) == 1
    (folder / file).write_text(text.replace(before, after), encoding="utf-8")
    return build_firmware(arch, root=folder)


@pytest.fixture
def fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of every QEMU."""

    def install(script: str) -> None:
        for profile in PROFILES.values():
            path = tmp_path / profile.binary
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install
