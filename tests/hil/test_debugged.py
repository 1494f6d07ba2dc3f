"""A debugger goes back and forth over devices: wherever it has been, the run is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khs import runs
from khs.debug.stops import Position
from khs.debug.target import Target
from tests.hil.test_uart import BOARDS, MS, archive


@pytest.mark.parametrize("board", BOARDS)
def test_back_and_forth(board: str) -> None:
    said = [(4 * MS, 0, b"a text that is on its way for a while" * 3)]
    plan = replace(runs.plan(archive(board), frames=4), inputs=said)
    whole = runs.run(plan).result
    places = [Position(tick) for tick in (5 * MS + 17, 10 * MS + 999, 12 * MS, 20 * MS + 5)]
    with Target(plan) as target:
        hashes = {}
        for place in places:
            target.go_to(place)
            hashes[place] = target.state_hash()
        target.go()
        assert target.result().trace_sha256 == whole.trace_sha256
        for place in reversed(places):
            target.go_to(place)
            assert target.state_hash() == hashes[place]
        for _ in range(3):
            target.back_step()
        target.step()
        target.go()
        result = target.result()
    assert result.trace_sha256 == whole.trace_sha256
    assert result.partitions == whole.partitions
