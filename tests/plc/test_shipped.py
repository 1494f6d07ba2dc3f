"""The tests that images/plc brings along pass, with the plugin that they are written for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plc.benches import FOLDER
from tests.pytest_plugin.project import Project


def test_the_systems_own_tests_pass(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    done = Project(tmp_path).pytest("--khs-bench", "plc", str(FOLDER / "test_plc.py"))
    assert done.code == 0, done.output
    assert list(done.outcomes.values()) == ["passed"] * 7
