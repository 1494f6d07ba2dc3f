"""docs/configuration.md is up to date."""

from __future__ import annotations

from pathlib import Path

from khs.config import reference
from khs.config.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_page_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert reference.update(text) == text, f"run: python -m khs.config.reference {PAGE.name}"


def test_page_has_every_rule() -> None:
    text = PAGE.read_text(encoding="utf-8")
    own = [id for id in RULES if id.partition("-")[0] in reference._SUBJECTS]
    assert len(own) > 80
    assert all(f"| {id} | {RULES[id].severity} |" in text for id in own)
