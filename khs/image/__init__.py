"""From a checked system to a bootable archive: ELF programs, layout, config.bin, report.md."""

from __future__ import annotations

from khs.image.archive import Archive
from khs.image.build import build, check, load_policy
from khs.image.open import open_system

__all__ = ["Archive", "build", "check", "load_policy", "open_system"]
