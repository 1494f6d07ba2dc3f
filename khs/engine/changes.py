"""What somebody outside changed in a run, and where in its order: a recording keeps it.

There is one order of all that happens in a system: a tick is one instruction of one partition, or
a tick of somebody's debt or idleness. A hypercall that was made and is not dealt with yet is a
point of its own, before what comes of it at the same tick.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """After `tick` ticks; `settled`: what became due or was asked for at that tick is done."""

    tick: int
    settled: bool = True


BEGIN = Position(0)
#: `Change.what` of a new mode: its value is a mode of ARINC 653, 4 bytes, little endian.
MODE = "mode"


@dataclass(frozen=True, slots=True)
class Change:
    """A register, by its name; memory, by its address; or the mode, MODE."""

    position: Position
    partition: int
    what: str | int
    value: bytes
