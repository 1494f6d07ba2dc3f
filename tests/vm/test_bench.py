"""A verdict takes nanoseconds; the bounds allow for slow and busy machines."""

from __future__ import annotations

from pathlib import Path

from tests.vm import bench, bench_state


def test_verdicts_take_nanoseconds(tmp_path: Path) -> None:
    costs = bench.measure(tmp_path)
    assert all(0 < cost < (40000 if "4-KiB" in name else 2000) for name, cost in costs.items()), (
        costs
    )
    assert costs["64-byte message, one rule"] < 600
    assert costs["64-byte message, constant"] < costs["64-byte message, ten rules"]
    assert costs["choice of 1,000 texts"] < 4 * costs["choice of 10 texts"]
    assert costs["byte of a text, matched"] < 8 * costs["table look-up"]


def test_state_with_many_keys_costs_little_more(tmp_path: Path) -> None:
    costs = bench_state.measure(tmp_path)
    assert all(0 < cost < 2000 for cost in costs.values()), costs
    for few, many in (
        ("set of 10, contains", "set of 100,000, contains"),
        ("set of 10, contains", "set of 100,000 of one bucket, contains"),
        ("set of 10, contains", "set of 100,000, added and undone"),
        ("flow of 10 SIDs, allow and enter", "flow of 100,000 SIDs, allow and enter"),
        ("mic of 10 SIDs, invoke", "mic of 100,000 SIDs, invoke"),
        ("map of 10 SIDs, get and set", "map of 10,000 SIDs, get and set"),
    ):
        assert costs[many] < 5 * costs[few], (many, costs)
