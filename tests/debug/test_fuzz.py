"""Broken packets do the server no harm; `make fuzz` sends more of them."""

from __future__ import annotations

from .fuzz import cases


def test_broken_packets_are_refused_and_the_next_client_is_served() -> None:
    found = [f"seed {seed}: {each}" for seed in range(1, 121) for each in cases(seed)]
    assert found == []
