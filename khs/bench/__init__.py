"""Figures of this machine, each beside a baseline measured in the same run."""

from __future__ import annotations

from khs.bench.figures import Figure
from khs.bench.sections import SECTIONS, measure

__all__ = ["SECTIONS", "Figure", "measure"]
