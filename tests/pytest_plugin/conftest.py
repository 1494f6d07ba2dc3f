"""Projects under the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hil.conftest import _library  # noqa: F401 - a fixture
from tests.pytest_plugin.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
