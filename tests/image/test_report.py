"""report.md against a reviewed copy. `KHS_UPDATE=1 pytest tests/image/test_report.py` renews it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from khs.config.model import Arch
from khs.image import Archive, build
from tests.image.systems import load_system

GOLDEN = Path(__file__).parent / "data" / "pair.report.md"
#: From here on the report holds sizes and hashes of what other parts make.
VOLATILE = "\n## Policies\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return build(load_system(tmp_path_factory.mktemp("systems") / "pair", Arch.ARMV7))


def test_golden(archive: Archive) -> None:
    stable = archive.report.split(VOLATILE)[0]
    if os.environ.get("KHS_UPDATE"):
        GOLDEN.write_text(stable)
    assert stable == GOLDEN.read_text()


def test_every_member_is_listed_with_its_hash(archive: Archive) -> None:
    listed = archive.report.split("## Hashes (SHA-256)")[1]
    for name, about in archive.manifest["members"].items():
        row = f"| {name} | {about['size']} | `{about['sha256']}` |"
        assert (row in listed) == (name != "report.md"), name


def test_lines_to_trust(archive: Archive) -> None:
    lines = archive.manifest["trusted_lines"]
    assert f"| kernel core (khs/core) | {lines['core']} |" in archive.report
    assert f"| **trusted base** | **{sum(lines.values())}** |" in archive.report


def test_tables_are_whole(archive: Archive) -> None:
    """Every row of a table has as many cells as its head."""
    for block in archive.report.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1, block
