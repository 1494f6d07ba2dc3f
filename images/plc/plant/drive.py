"""The plant as `python = "plant/drive.py"` of a bench has it."""

from __future__ import annotations

import sys
from pathlib import Path

from khs.hil import Plant

sys.path.insert(0, str(Path(__file__).resolve().parent))
from rotor import Rotor

sys.path.pop(0)


class Drive(Rotor, Plant):
    """The rotor, its inverter and its relay."""
