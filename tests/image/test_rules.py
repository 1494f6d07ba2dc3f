"""Rule ids: declared, used and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from khs.image.rules import RULES
from khs.resources import project

ROOT = project()
pytestmark = pytest.mark.skipif(ROOT is None, reason="needs the sources")
ID = re.compile(r'"((?:ARCHIVE|PROG|ELF|CODE|MEM|POL|MSG)-\d{3})"')


def sources() -> list[Path]:
    assert ROOT
    folders = (ROOT / "khs" / "image", ROOT / "khs" / "toolchain")
    found = [path for folder in folders for path in folder.glob("*.py") if path.name != "rules.py"]
    return [*found, *(ROOT / "khs" / "monitor" / name for name in ("__init__.py", "services.py"))]


def test_every_rule_is_used_and_every_id_declared() -> None:
    used = {id for path in sources() for id in ID.findall(path.read_text())}
    assert used == set(RULES)


def test_every_rule_has_a_test() -> None:
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [id for id in RULES if id not in tested] == []


def test_every_rule_is_documented() -> None:
    assert ROOT
    text = (ROOT / "docs" / "building.md").read_text()
    for id, meaning in RULES.items():
        assert f"| {id} | {meaning} |" in text


def test_ids_differ_from_those_of_the_configuration() -> None:
    from khs.config.rules import RULES as CONFIGURATION

    assert not set(RULES) & set(CONFIGURATION)
