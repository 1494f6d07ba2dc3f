"""A project of its own, with tests of systems, and pytest on it in a process of its own."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Also in an installed KHS only what a test names is loaded.
ALONE = ("-p", "khs.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers", "-W", "error")


@cache
def _compiled() -> str:
    """Where these processes leave what they compile: half of what they do else."""
    folder = tempfile.mkdtemp(prefix="khs-pycache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "monitor"), os.environ.get("PYTHONPATH", "")]
    others = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    return {
        **kept,
        **alone,
        "PYTHONPYCACHEPREFIX": _compiled(),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def documented(language: str) -> str:
    """The first such block of docs/hil-pytest.md."""
    page = (ROOT / "docs" / "hil-pytest.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


def again(command: str) -> str:
    """What `khs ...` as printed prints. It has to succeed."""
    name, *arguments = shlex.split(command)
    assert name == "khs"
    done = subprocess.run(
        [sys.executable, "-m", "khs", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Done:
    """`outcomes` and `properties` by test, from the JUnit file."""

    code: int
    output: str
    outcomes: dict[str, str]
    properties: dict[str, str]


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(text))

    def command(self, *options: str, python: str = sys.executable) -> list[str]:
        return [python, "-m", "pytest", *ALONE, "--basetemp", str(self.folder / "tmp"), *options]

    def pytest(self, *options: str, python: str = sys.executable) -> Done:
        junit = self.folder / "junit.xml"
        done = subprocess.run(
            self.command("-rA", f"--junitxml={junit}", *options, python=python),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        output = done.stdout + done.stderr
        assert junit.is_file(), output
        tree = ET.parse(junit)
        outcomes = {str(case.get("name")): _outcome(case) for case in tree.iter("testcase")}
        rows = {str(row.get("name")): str(row.get("value")) for row in tree.iter("property")}
        return Done(done.returncode, output, outcomes, rows)


def _outcome(case: ET.Element) -> str:
    found = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
    return found[0] if found else "passed"
