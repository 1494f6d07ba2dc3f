"""Writing systems: a new one that boots, a new method of an interface, C headers of messages."""

from __future__ import annotations

from khs.new.method import Added, add_method
from khs.new.scaffold import scaffold

__all__ = ["Added", "add_method", "scaffold"]
