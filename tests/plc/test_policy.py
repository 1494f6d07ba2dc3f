"""The policy alone: its own tests, and what the tools tell of it."""

from __future__ import annotations

import pytest
from kss.cli import app as kss
from typer.testing import CliRunner

from khs.cli import app as khs
from tests.plc.benches import FOLDER

WHERE = ["-I", str(FOLDER / "interfaces"), "-I", str(FOLDER)]


def told(*arguments: str) -> str:
    done = CliRunner().invoke(kss, [*arguments, *WHERE])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_policy_s_own_tests_pass() -> None:
    assert "15 of 15 tests passed" in told("test", str(FOLDER / "tests.psl"))


@pytest.mark.parametrize("name", ["security", "permissive", "ranges", "tests"])
def test_it_is_in_form_and_has_no_findings(name: str) -> None:
    file = str(FOLDER / f"{name}.psl")
    assert "0 errors, 0 warnings" in told("check", file)
    assert CliRunner().invoke(kss, ["fmt", "--check", file]).exit_code == 0


def test_the_tests_notice_almost_every_change() -> None:
    """What goes unnoticed means nothing: commits that others make up for, grants beside rules."""
    done = CliRunner().invoke(kss, ["mutate", str(FOLDER / "tests.psl"), *WHERE])
    missed = {
        line.partition("fails: ")[2] for line in done.output.splitlines() if "fails: " in line
    }
    assert missed == {"ledger.commit { sid : dst_sid }", "grant ()"}


def test_a_setpoint_is_under_conditions_of_state_in_one_policy_alone() -> None:
    narrow = ("--src", "plc.Engineering", "--endpoint", "setpoint")
    strict, ranges = (
        told("query", str(FOLDER / f"{name}.psl"), *narrow) for name in ("security", "permissive")
    )
    for text in ("session.allow", "drive.allow", "rotor.allow", "message.speed <= 14100"):
        assert text in strict
    assert "message.speed <= 14100" in ranges
    assert "ledger" not in ranges


def test_data_gets_from_either_outside_to_safety_by_the_controller_alone() -> None:
    for outside, other in (("engineering", "network"), ("network", "engineering")):
        done = CliRunner().invoke(khs, ["flow", str(FOLDER), outside, "safety"])
        paths = [line for line in done.output.splitlines() if not line.startswith(" ")]
        assert paths == [f"{outside} -> controller -> safety"]
        done = CliRunner().invoke(khs, ["flow", str(FOLDER), outside, other])
        assert "judged by nobody" not in done.output


def test_rules_of_state_only_take_away() -> None:
    """kss diff from permissive.psl: whatever the rules of state change, they deny."""
    files = (str(FOLDER / "permissive.psl"), str(FOLDER / "security.psl"))
    changes = [line for line in told("diff", *files).splitlines() if " -> denied" in line or
               " -> granted" in line]  # fmt: skip
    assert "request plc.Engineering -> plc.Controller setpoint.Set: granted -> denied" in changes
    assert all(line.endswith(": granted -> denied") for line in changes)
