"""Qiling, the framework people use otherwise, on the same guest code; only if it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from khs.bench.figures import Figure


def qiling() -> Iterator[Figure]:
    """Nothing without the extra `bench`."""
    if importlib.util.find_spec("qiling") is None:
        return
    yield from ()
