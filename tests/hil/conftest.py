"""The library that is tested is that of the sources as they are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_native.py"


@pytest.fixture(scope="session", autouse=True)
def _library() -> None:
    subprocess.run([sys.executable, SCRIPT], check=True)


@pytest.fixture
def watchdog(tmp_path: Path) -> Path:
    """The example of the page."""
    page = (SCRIPT.parents[1] / "docs" / "hil.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# watchdog\.py\n.*?)```", page, re.DOTALL)
    path = tmp_path / "watchdog.py"
    path.write_text(code, encoding="utf-8")
    return path


from tests.cli.conftest import khs  # noqa: E402, F401 - a fixture


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, an FMU built by pythonfmu."""
    pytest.importorskip("fmpy")
    builder = pytest.importorskip("pythonfmu.builder")
    folder = tmp_path_factory.mktemp("fmu")
    source = Path(__file__).parent / "plants" / "drive.py"
    made: Path = builder.FmuBuilder.build_FMU(source, dest=folder)
    return made
