"""Room for walks over what nests: the checker admits expressions nested 300 deep, and a walk takes
a few calls a level."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT = 10_000


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Lets Python functions call each other that deeply."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
