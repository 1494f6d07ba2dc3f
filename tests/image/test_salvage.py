"""Errors of system.toml hide nothing that is wrong with the policies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khs.image.open import check_system
from tests.image.systems import POLICY, SYSTEM, write_system

WRONG = POLICY + (
    "request dst=demo.Right, endpoint=panel.control, method=Get { grnt () }\n"
    "request dst=demo.Right, endpoint=nothing { grant () }\n"
)
ALL = {"PSL-023", "PSL-015"}


def rules(folder: Path, old: str, new: str, policy: str = WRONG) -> set[str]:
    assert old in SYSTEM
    write_system(folder, system=SYSTEM.replace(old, new))
    (folder / "security.psl").write_text(policy)
    return {finding.rule for finding in check_system(folder) if finding.severity == "error"}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('start = "5ms"', 'start = "3ms"', "SCHED-003"),
        ("frames = 3", "frames = 3\ncolour = 1", "KEY-001"),
        ('name = "pair"', 'name = "p p"', "NAME-001"),
        ('board = "{board}"', 'board = "nowhere"', "BOARD-001"),
        ('stack = "16KiB"', 'stack = "16"', "UNIT-002"),
        ('image = "left.elf"', 'image = "gone.elf"', "PART-004"),
        ("depth = 8", "depth = 8000", "CHAN-009"),
        ('map = {{ right = "rw" }}', 'map = {{ rihgt = "rw" }}', "SPACE-006"),
        ('action = "idle" }}', 'action = "sleep" }}', "KEY-004"),
    ],
)
def test_policies_are_checked_all_the_same(old: str, new: str, rule: str, tmp_path: Path) -> None:
    """With the endpoints that channels give to classes: a sound policy has no finding."""
    assert rules(tmp_path, old, new) == {rule, *ALL}
    assert rules(tmp_path, old, new, POLICY) == {rule}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('to = ["right"]', 'to = ["rihgt"]', "CHAN-001"),
        ('message = "demo.ILevel.Report"', 'message = "Report"', "CHAN-010"),
        ('message = "demo.ILevel.Report"', "message = 1", "KEY-003"),
        ('class = "demo.Left"', 'class = "demo Left"', "PART-014"),
    ],
)
def test_what_a_broken_channel_may_bring_is_no_finding(
    old: str, new: str, rule: str, tmp_path: Path
) -> None:
    assert rules(tmp_path, old, new) == {rule, "PSL-023"}
    assert rules(tmp_path, old, new, POLICY) == {rule}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('policy = "security.psl"', 'policy = "gone.psl"', "POLICY-001"),
        ('policy = "security.psl"', "policy = 1", "KEY-003"),
        ('include = ["."]', 'include = ["gone"]', "POLICY-003"),
    ],
)
def test_without_its_files_no_policy_is_checked(
    old: str, new: str, rule: str, tmp_path: Path
) -> None:
    assert rules(tmp_path, old, new) == {rule}


LINES = [number for number, line in enumerate(SYSTEM.split("\n")) if line]


@settings(deadline=None, max_examples=40)
@given(st.sets(st.sampled_from(LINES), min_size=1, max_size=3))
def test_a_document_without_some_of_its_lines_is_told_of(
    tmp_path_factory: pytest.TempPathFactory, missing: set[int]
) -> None:
    """In findings, whatever is left for the policies."""
    lines = [line for number, line in enumerate(SYSTEM.split("\n")) if number not in missing]
    folder = write_system(tmp_path_factory.mktemp("system"), system="\n".join(lines))
    assert all(finding.message and finding.line for finding in check_system(folder))
