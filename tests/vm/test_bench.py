"""A verdict takes nanoseconds; the bounds allow for slow and busy machines."""

from __future__ import annotations

from pathlib import Path

from tests.vm import bench


def test_verdicts_take_nanoseconds(tmp_path: Path) -> None:
    costs = bench.measure(tmp_path)
    assert all(0 < cost < 2000 for cost in costs.values()), costs
    assert costs["64-byte message, one rule"] < 600
    assert costs["64-byte message, constant"] < costs["64-byte message, ten rules"]
