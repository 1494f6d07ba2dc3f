"""Full boards in QEMU: the kernel as firmware, one QEMU process a board."""

from __future__ import annotations

from khs.engine.qemu.machine import Machine

__all__ = ["Machine"]
