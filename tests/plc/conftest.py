"""Fixtures of this folder; functions are in benches.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_native.py"


@pytest.fixture(scope="session", autouse=True)
def _library() -> None:
    """The library that is tested is that of the sources as they are."""
    subprocess.run([sys.executable, SCRIPT], check=True)
