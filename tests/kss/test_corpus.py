"""Real solutions by others are checked in stub mode: their SDK's files are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kss.api import check_policy
from kss.edl import Descriptions
from kss.errors import Findings
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.source import Search, read_source
from kss.stubs import Stubs

FOLDER = Path(os.environ.get("KHS_CORPUS") or "/nonexistent")
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
POLICIES = [path for path in FILES if path.name.endswith((".psl", ".psl.in"))]
DESCRIPTIONS = [path for path in FILES if path.suffix in (".edl", ".cdl")]
# Flow's parameter is called State: the reference has it refused, with a hint.
WRONG = {"YuraBeznos__FireFighter-drone-kos/einit/src/security.psl": ["PSL-061"]}

pytestmark = pytest.mark.skipif(not FILES, reason="KHS_CORPUS names no folder with policies")


def include(path: Path) -> list[Path]:
    """The folders of the solution that hold descriptions."""
    solution = FOLDER / path.relative_to(FOLDER).parts[0]
    suffixes = (".edl", ".cdl", ".idl")
    return sorted({file.parent for file in solution.rglob("*") if file.suffix in suffixes})


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_policies(path: Path) -> None:
    found = check_policy(path, include(path), stub=True)
    errors = [finding for finding in found if finding.severity == "error"]
    wanted = WRONG.get(str(path.relative_to(FOLDER)), [])
    assert [finding.rule for finding in errors] == wanted, [str(error) for error in errors]


def test_classes_and_components() -> None:
    for path in DESCRIPTIONS:
        findings = Findings()
        source = read_source(path, findings)
        text = parse_description(source, findings) if source else None
        assert text is not None and text.sound and text.name, findings.items
        if path.suffix == ".edl":
            name = text.name.value
            stubs = Stubs(findings, enabled=True)
            descriptions = Descriptions(Search(include(path)), findings, stubs)
            loaded = descriptions.load_class(name, name, 0, text.name.span.at)
            assert loaded is not None and not findings.failed, findings.items


def test_packages() -> None:
    for path in FILES:
        if path.suffix == ".idl":
            findings = Findings()
            source = read_source(path, findings)
            assert source and parse_package(source, findings).sound, findings.items
