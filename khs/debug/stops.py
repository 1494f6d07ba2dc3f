"""What a debugger of a system on Unicorn speaks of: points in its order, where to stop, and why it
stopped. `khs.debug.target.Target` moves a system between such points.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from khs.engine.changes import Position as Position


class Cause(StrEnum):
    """Why a system stands where it stands."""

    STEP = "step"  # as far as was asked: an instruction, a tick, a window, a frame
    BREAKPOINT = "breakpoint"  # before the instruction at an address
    WATCHPOINT = "watchpoint"  # behind the instruction that touched what is watched
    CALL = "call"  # a hypercall was made, nothing of it is done
    RETURN = "return"  # a hypercall came back: its caller goes on next
    EVENT = "event"  # the kernel noted an event that is watched for
    INTERRUPT = "interrupt"  # somebody asked
    END = "end"  # the run is over: its frames, or the module stopped
    BEGIN = "begin"  # backwards: tick 0


class Access(StrEnum):
    """What a watchpoint watches for, as gdb's Z2, Z3 and Z4."""

    WRITE = "write"
    READ = "read"
    ANY = "access"


@dataclass(frozen=True, slots=True)
class Watch:
    """Bytes of a partition's memory, by its addresses."""

    address: int
    size: int
    access: Access


@dataclass(frozen=True, slots=True)
class Calls:
    """Hypercalls to stop at: of one partition or of any (None), of these numbers or of all (None),
    when they are made and when they return."""

    partition: int | None = None
    numbers: frozenset[int] | None = None
    entry: bool = True
    result: bool = True


class Noted(StrEnum):
    """Events to stop behind."""

    DENIED = "denied"
    FAULT = "fault"
    HEALTH = "health"
    DEADLINE = "deadline"
    POLICY = "policy"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Events:
    """Events to stop behind: of one partition or of any (None); `numbers`: of these hypercalls
    alone, for DENIED."""

    noted: Noted
    partition: int | None = None
    numbers: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a system stopped and why. `partition`: whose doing it was, or who runs next; None in a
    gap. `number`: the hypercall of CALL and RETURN. `watch`: of WATCHPOINT, with the `address` that
    was touched. `record`: bytes of the event of EVENT."""

    cause: Cause
    position: Position
    partition: int | None = None
    number: int | None = None
    watch: Watch | None = None
    address: int | None = None
    record: bytes | None = None
