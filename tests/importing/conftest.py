"""Solutions to import; functions are in solutions.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests.conftest import _library  # noqa: F401  the library is that of the sources
from tests.importing.solutions import write


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A small solution with everything in the places that KasperskyOS solutions have them."""
    return write(tmp_path / "Bank")
