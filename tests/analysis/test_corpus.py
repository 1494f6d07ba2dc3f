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


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_policies(path: Path) -> None:
    try:
        policy = load_policy(path, include(path), stub=True)
    except DescriptionError as error:
        wrong = {finding.rule for finding in error.findings if finding.severity == "error"}
        expected = WRONG.get(str(path.relative_to(FOLDER)), [])
        assert wrong <= {*expected, "PSL-009"}  # parts are missing that no stub stands for
        return
    query = Query(policy.tree)
    rows = list(query.rows())
    assert len(rows) >= len(policy.classes) ** 2
    assert all(query.json(row)["verdict"] for row in rows)
    first, *_, last = policy.classes
    assert Flows(policy.tree).between(first, last, 3) is not None
    replays = [Replay(policy, Reference(policy.tree)) for _ in range(2)]
    assert list(Diff(replays[0], replays[1]).changes()) == []
