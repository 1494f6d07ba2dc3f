"""What a run comes to: the document of `khs run --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from khs.engine.hashes import StreamHashes
from khs.engine.native import Drained
from khs.engine.structures import View
from khs.trace.kinds import Mode, StopCause


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """Ticks: `ticks` charged and `idle_ticks` add up to the partition's windows. `denied`: verdicts
    on events of which it was the source. `halted`: it faulted and the health table let it be, so
    that it waits for a restart. `trace_sha256`: of what the partition could observe."""

    mode: str
    halted: bool
    ticks: int
    idle_ticks: int
    deadline_met: int
    deadline_missed: int
    hypercalls: int
    denied: int
    faults: int
    restarts: int
    trace_sha256: str


@dataclass(frozen=True, slots=True)
class Result:
    """`frames` major frames completed, up to `ticks`; `trace_sha256` is the hash of all event
    records. `stopped`: why the module stopped before its time. `wall_s`: host seconds."""

    system: str
    board: str
    engine: str
    seed: int
    frames: int
    ticks: int
    reproducible: bool
    interrupted: bool
    stopped: StopCause | None
    trace_sha256: str
    verdicts: dict[str, int]
    partitions: dict[str, PartitionResult]
    wall_s: float

    @property
    def healthy(self) -> bool:
        """The module was not stopped by the health monitor or a denied boot."""
        return self.stopped in (None, StopCause.PRIVILEGED)

    def to_json(self) -> dict[str, Any]:
        """The document of `khs run --json`."""
        document = asdict(self)
        document["stopped"] = None if self.stopped is None else self.stopped.word
        return document


class Tally:
    """Follows the event stream of a machine: hashes and counts."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.granted = self.denied = self.stop_cause = 0
        self.hashes = StreamHashes(len(names))

    def add(self, drained: Drained) -> None:
        self.hashes.update(drained)
        self.granted += drained.granted
        self.denied += drained.denied
        self.stop_cause = self.stop_cause or drained.stop_cause

    def copy(self) -> Tally:
        """As far as this one is."""
        other = Tally(self.names)
        other.granted, other.denied = self.granted, self.denied
        other.stop_cause = self.stop_cause
        self.hashes.settle()
        other.hashes = self.hashes.copy()
        return other

    @property
    def stopped(self) -> StopCause | None:
        return StopCause(self.stop_cause) if self.stop_cause else None

    @property
    def verdicts(self) -> dict[str, int]:
        return {"granted": self.granted, "denied": self.denied}

    @property
    def trace_sha256(self) -> str:
        """Of all records so far."""
        self.hashes.settle()
        return self.hashes.digests()[0]

    def partitions(self, views: Sequence[View]) -> dict[str, PartitionResult]:
        """By name, in the order of the system's description."""
        self.hashes.settle()
        digests = self.hashes.digests()[1]
        return {
            name: PartitionResult(
                mode=Mode(view.mode).word,
                halted=bool(view.halted),
                ticks=view.ticks,
                idle_ticks=view.idle_ticks,
                deadline_met=view.deadlines_met,
                deadline_missed=view.deadlines_missed,
                hypercalls=view.hypercalls,
                denied=view.denied,
                faults=view.faults,
                restarts=view.restarts,
                trace_sha256=digest,
            )
            for name, view, digest in zip(self.names, views, digests, strict=True)
        }
