"""A decision as a record of the audit trail, by names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is recorded. `result` is "granted", "denied" or "failed" of a rule; of an
    expression it is its value. `file` and `line` tell where it stands in the policy."""

    object: str
    method: str
    result: str | bool | int | None
    file: str
    line: int


def decision(
    *,
    granted: bool,
    reason: str,
    event: dict[str, Any],
    calls: Iterable[Call],
    level: int,
    tick: int | None = None,
) -> dict[str, Any]:
    """The record of a decision. `event` holds kind, src, src_sid, dst, dst_sid, interface,
    component, endpoint and method, without what the event does not have; `tick` is the virtual
    time, if the kernel that asked has one."""
    fields: dict[str, Any] = {
        "record": "decision",
        "decision": "granted" if granted else "denied",
        "reason": reason,
        "event": event,
        "calls": [
            {
                "object": call.object,
                "method": call.method,
                "result": call.result,
                "file": call.file,
                "line": call.line,
            }
            for call in calls
        ],
        "level": level,
    }
    return fields if tick is None else {**fields, "tick": tick}
