"""Real solutions by others parse. Their SDK classes are not there, so no more than that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kss.errors import Findings
from kss.grammar.edl import parse_description
from kss.grammar.idl import parse_package
from kss.grammar.psl import parse_policy
from kss.source import read_source

FOLDER = os.environ.get("KHS_CORPUS", "")
PARSERS = {".edl": parse_description, ".cdl": parse_description, ".idl": parse_package}
FILES = sorted(
    path for path in Path(FOLDER).rglob("*") if path.suffix in (*PARSERS, ".psl")
) if FOLDER else []  # fmt: skip


@pytest.mark.skipif(not FILES, reason="KHS_CORPUS names no folder with policies")
def test_every_file_parses() -> None:
    findings = Findings()
    for path in FILES:
        source = read_source(path, findings)
        assert source is not None
        if path.suffix == ".psl":
            assert parse_policy(source, findings)[1], findings.items
        else:
            assert PARSERS[path.suffix](source, findings) is not None, findings.items
    assert not findings.items
