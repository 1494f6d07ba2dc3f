"""The audit trail of a run: what the policy has recorded, by names, in a file chained by hashes.

The kernel says what is to be recorded (KHS_EV_AUDIT, behind the verdict it is about); the form of
the file is that of `kss.trail`. Beside decisions the trail tells of the run's beginning and end and
of every policy that came into force or was refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from khs.engine.result import Result
from khs.errors import KhsError
from khs.monitor import PATIENCE, OnFull, Trail, TrailError, TrailFullError
from khs.trace import events
from khs.trace.kinds import EventType
from khs.trace.names import Names

_SIZE_TYPE = struct.Struct("<8xI12xH")
_TOLD = frozenset((EventType.VERDICT, EventType.AUDIT, EventType.POLICY))


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """Where records go, and what happens when they cannot be written. `limit`: bytes, None for no
    limit but the disk's. `patience`: seconds that a write may take."""

    path: Path
    on_full: str = "stop"
    limit: int | None = None
    patience: float = PATIENCE


class Auditor:
    """Writes the audit trail of one run; a sink for drained records.

    When the trail is full or slow and set to stop, `stop` is called and nothing more is written:
    what the run records until it has come to a stop is counted.
    """

    def __init__(
        self, plan: AuditPlan, names: Names, begin: Mapping[str, Any], stop: Callable[[], None]
    ) -> None:
        """Raises KhsError if the file cannot be written, or is full already."""
        self.stopped = False
        self._names, self._stop = names, stop
        self._judged: events.Verdict | None = None
        self._since: int | None = None  # tick of the first record that was lost or late
        try:
            self._trail = Trail(
                plan.path,
                begin=begin,
                on_full=OnFull(plan.on_full),
                limit=plan.limit,
                patience=plan.patience,
            )
        except TrailError as error:
            raise KhsError(f"--audit: {error}") from None
        if self._trail.problem:
            self._since = 0

    def __call__(self, records: memoryview) -> None:
        found: list[dict[str, Any]] = []
        at = 0
        while at < len(records):
            size, kind = _SIZE_TYPE.unpack_from(records, at)
            if kind in _TOLD:
                self._tell(events.decode(records[at : at + size]), found)
            at += size
        if found:
            self._append(found)

    def _tell(self, event: events.Event, found: list[dict[str, Any]]) -> None:
        match event:
            case events.Verdict():
                self._judged = event
            case events.PolicySwap():
                self._names.observe(event)
                found.append(self._swap(event))
            case events.Audit() if self._judged is not None:
                found.append(self._decision(self._judged, event))

    def _decision(self, verdict: events.Verdict, audit: events.Audit) -> dict[str, Any]:
        policy = self._names.policy_of(verdict)
        event = policy.event(verdict)
        for key, partition in (("src", verdict.source), ("dst", verdict.destination)):
            if partition is not None:
                event[f"{key}_name"] = self._names.partition(partition)
        record: dict[str, Any] = {
            "record": "decision",
            "tick": verdict.tick,
            "decision": "granted" if verdict.granted else "denied",
            "reason": verdict.reason.word,
            "event": event,
            "calls": [policy.audited(call) for call in audit.calls],
            "level": audit.level,
        }
        if verdict.trial:
            record["trial"] = True
        if audit.count > len(audit.calls):
            record["more"] = audit.count - len(audit.calls)
        return record

    def _swap(self, swap: events.PolicySwap) -> dict[str, Any]:
        record: dict[str, Any] = {
            "record": "policy",
            "tick": swap.tick,
            "policy": self._names.policy(swap.policy),
        }
        if swap.kept is None:
            why = swap.refusal.reason if swap.refusal else "refused"
            return {**record, "in_force": False, "reason": why}
        objects = [asdict(fate) for fate in self._names.swapped(swap)]
        return {**record, "in_force": True, "objects": objects}

    def _append(self, found: list[dict[str, Any]]) -> None:
        before = self._trail.lost
        try:
            self._trail.append_all(found)
        except TrailFullError:
            if not self.stopped:
                self._stop()
            self.stopped = True
        if self._trail.problem and self._since is None:
            first = len(found) - (self._trail.lost - before)
            self._since = found[min(first, len(found) - 1)]["tick"]

    def end(self, result: Result) -> None:
        """Tells of the run's end, which ties the trail to the trace, and of what it lost."""
        if not self.stopped:
            end = {"frames": result.frames, "trace_sha256": result.trace_sha256}
            lost = {"lost": self._trail.lost}
            self._append([{"record": "end", "tick": result.ticks, **end, **lost}])

    @property
    def why(self) -> str:
        """What went wrong with the trail, from when on, and what that cost; "" if nothing did."""
        trail = self._trail
        if not trail.problem:
            return ""
        lost = f"{trail.lost or 'none'} of the run's records were not written"
        return f"{trail.problem}; from tick {self._since} on, {lost}"

    def to_json(self) -> dict[str, Any]:
        """What became of the trail, for `khs run --json`."""
        trail = self._trail
        return {
            "file": str(trail.path),
            "records": trail.records,
            "lost": trail.lost,
            "head": trail.head,
            "problem": trail.problem or None,
            "tick": self._since,
        }

    def close(self) -> None:
        self._trail.close()

    def __enter__(self) -> Auditor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
