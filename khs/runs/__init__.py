"""One run of an archive: what to run (`plan`), on which engine (`open_machine`), and everything
people want to know about it afterwards (`run`)."""

from __future__ import annotations

from khs.runs.machine import Machine, Progress, check_devices, open_machine
from khs.runs.planned import Plan, plan
from khs.runs.ran import Ran, refused
from khs.runs.running import recorder, run

__all__ = [
    "Machine",
    "Plan",
    "Progress",
    "Ran",
    "check_devices",
    "open_machine",
    "plan",
    "recorder",
    "refused",
    "run",
]
