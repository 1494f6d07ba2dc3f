"""SD cards that a real board's boot loader starts a system from."""

from __future__ import annotations

from khs.sdcard.card import card, write

__all__ = ["card", "write"]
