"""Systems under test: what the pytest plugin and the labgrid driver are made of.

    Rig             a system on an engine or a board, its virtual time run by a test
    Partition       one of its partitions: mode, memory, counters, restart and stop
    Console         what a partition or a serial port writes, and what is sent to a port
    CanBus          a bus that the test is a node of
    Gpio            pins, with the test at their other end
    PlantUnderTest  a plant of the bench around it
    Audit           what the policy decided

`opened(Spec("iot-gateway"))` makes one without pytest.
"""

from __future__ import annotations

from khs.hil.frames import Frame
from khs.hil.testing.audit import Audit, Decision
from khs.hil.testing.canbus import CanBus
from khs.hil.testing.console import Console
from khs.hil.testing.errors import ExpiredError, UnsupportedError
from khs.hil.testing.gpio import Gpio, PinChange
from khs.hil.testing.partition import Partition
from khs.hil.testing.plant import PlantUnderTest
from khs.hil.testing.rig import HealthLine, HypercallLine, Rig
from khs.hil.testing.spec import Spec, opened

__all__ = [
    "Audit", "CanBus", "Console", "Decision", "ExpiredError", "Frame", "Gpio", "HealthLine",
    "HypercallLine", "Partition", "PinChange", "PlantUnderTest", "Rig",
    "Spec", "UnsupportedError", "opened",
]  # fmt: skip
