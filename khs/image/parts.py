"""Everything known about a system before its archive is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khs.config.model import System
from khs.image.elf import Program
from khs.image.layout import Layout
from khs.image.wiring import Wiring
from khs.monitor import MonitorPolicy


@dataclass(frozen=True, slots=True)
class Parts:
    """A system that passed every check. Mappings are by partition."""

    system: System
    policies: tuple[MonitorPolicy, ...]
    wiring: Wiring
    elfs: Mapping[str, bytes]
    programs: Mapping[str, Program]
    layout: Layout
