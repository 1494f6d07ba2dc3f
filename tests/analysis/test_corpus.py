"""Real policies by others can be asked: every question has an answer, and no policy differs from
itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from kss.analysis.diff import Diff
from kss.analysis.flow import Flows
from kss.analysis.query import Query
from kss.analysis.replay import Replay
from kss.api import load_policy
from kss.errors import DescriptionError
from kss.reference import Reference

from tests.kss.test_corpus import FILES, FOLDER, POLICIES, WRONG, include

pytestmark = pytest.mark.skipif(not FILES, reason="KHS_CORPUS names no folder with policies")


# Policies that cannot be asked: the findings, and why they have them.
ABSENT = "a policy file that it uses is not in the corpus"
NOT_LOADED = {
    "KasperskyLab__jwt-kos/kos/unittests/einit/psl/security.psl.in": (["PSL-009"], ABSENT),
    "KasperskyLab__rabbitmq-c-kos/kos/unit_tests/einit/src/security.psl.in": (
        ["PSL-009"],
        ABSENT,
    ),
    **{name: (rules, "it is wrong") for name, rules in WRONG.items()},
}


def test_the_policies_that_cannot_be_asked_are_there() -> None:
    """A name that is no longer that of a policy would excuse nothing."""
    assert NOT_LOADED.keys() <= {str(path.relative_to(FOLDER)) for path in POLICIES}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_policies(path: Path) -> None:
    expected, why = NOT_LOADED.get(str(path.relative_to(FOLDER)), ([], ""))
    try:
        policy = load_policy(path, include(path), stub=True)
    except DescriptionError as error:
        wrong = [str(finding) for finding in error.findings if finding.severity == "error"]
        assert [finding.rule for finding in error.findings if finding.severity == "error"] == (
            expected
        ), wrong
        pytest.skip(f"not loaded, {why}: {wrong[0]}")
    assert not expected, f"it loads now: take it out of the list ({why})"
    query = Query(policy.tree)
    rows = list(query.rows())
    assert len(rows) >= len(policy.classes) ** 2
    assert all(query.json(row)["verdict"] for row in rows)
    first, *_, last = policy.classes
    assert Flows(policy.tree).between(first, last, 3) is not None
    replays = [Replay(policy, Reference(policy.tree)) for _ in range(2)]
    assert list(Diff(replays[0], replays[1]).changes()) == []
