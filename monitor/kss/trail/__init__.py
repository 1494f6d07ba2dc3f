"""The audit trail: what the monitor decided, in a file that shows if it was changed.

kss.trail.chain    the form of the file: JSON lines chained by hashes, and their verification
kss.trail.file     writes it, so that a crash loses no completed record
kss.trail.record   a decision as a record, by names
kss.trail.text     records for people
"""

from __future__ import annotations

from kss.trail.chain import Checked, verify
from kss.trail.file import PATIENCE, OnFull, Trail, TrailError, TrailFullError

__all__ = ["PATIENCE", "Checked", "OnFull", "Trail", "TrailError", "TrailFullError", "verify"]
