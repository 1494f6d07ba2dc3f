"""Hardware in the loop: models of devices, and what emulated devices are joined to."""

from __future__ import annotations

from khs.engine.device import Device

__all__ = ["Device"]
