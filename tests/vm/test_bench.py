"""A verdict takes nanoseconds; the bounds allow for slow and busy machines."""

from __future__ import annotations

from pathlib import Path

from tests.vm import bench


def test_verdicts_take_nanoseconds(tmp_path: Path) -> None:
    costs = bench.measure(tmp_path)
    assert all(0 < cost < (40000 if "4-KiB" in name else 2000) for name, cost in costs.items()), (
        costs
    )
    assert costs["64-byte message, one rule"] < 600
    assert costs["64-byte message, constant"] < costs["64-byte message, ten rules"]
    assert costs["choice of 1,000 texts"] < 4 * costs["choice of 10 texts"]
    assert costs["byte of a text, matched"] < 8 * costs["table look-up"]
