"""Guest operating systems on boards: fetched from Debian, skipped with a reason without them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.engine.qemu.board import PROFILES
from khs.errors import KhsError
from scripts import fetch_guests

#: What every run of the tests fetches; the rest is for `make test-os`.
SMALL = {"u-boot-x86"}
BOARDS = {"sabrelite": Arch.ARMV7, "q35": Arch.X64, "pc": Arch.X86}


@pytest.fixture
def fetched() -> Callable[[str], Path]:
    """The folder of a guest; the test is skipped if it cannot be had."""

    def fetch(name: str) -> Path:
        if name not in SMALL and not os.environ.get("KHS_TEST_OS"):
            pytest.skip(f"{name} is tested by make test-os")
        found = _fetched(name)
        if isinstance(found, str):
            pytest.skip(f"{name} cannot be fetched: {found}")
        return found

    return fetch


@cache
def _fetched(name: str) -> Path | str:
    """The folder, or why there is none: asked once, for no network can take its time."""
    try:
        return fetch_guests.fetch(name)
    except KhsError as error:
        return str(error)


@pytest.fixture
def emulator() -> Callable[[str], None]:
    """Skips the test if there is no QEMU for that board."""

    def need(board: str) -> None:
        profile = PROFILES[BOARDS[board]]
        if shutil.which(profile.binary) is None:
            pytest.skip(f"{profile.binary} is not installed: apt-get install {profile.package}")

    return need
