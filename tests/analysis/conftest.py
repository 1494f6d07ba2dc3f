"""The bank of tests/kss, and the policy VM of the sources as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.command import Command
from tests.kss.conftest import Load, load
from tests.vm.conftest import library

__all__ = ["Load", "library", "load"]


@pytest.fixture
def kss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(tmp_path, monkeypatch, capsys)
