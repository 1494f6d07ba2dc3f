"""The verdicts of a trace as events for `kss eval`, so that KSS can judge, explain and count them
again: `kss coverage --events`, `kss explain --events`, `kss diff`."""

from __future__ import annotations

from typing import Any

from khs.trace.events import Verdict
from khs.trace.kinds import Reason, SecurityEvent
from khs.trace.names import Names

KERNEL = "kl.core.Core"


class EventLines:
    """Feed it every verdict, in order: processes get names when they are started."""

    def __init__(self) -> None:
        self._started: dict[int, str] = {}

    def line(self, verdict: Verdict, names: Names) -> dict[str, Any] | None:
        """One line, None for an event that could not have been carried out whatever the verdict
        (a full queue, say), which changed nothing, and for a malformed message, which a line
        cannot tell: it was denied before any rule."""
        if verdict.trial or verdict.reason is Reason.MALFORMED:
            return None
        policy = names.policy_of(verdict)
        about = policy.event(verdict)
        line: dict[str, Any] = {"event": about["kind"]}
        line["src"] = self._started.get(verdict.source_sid, about["src"])
        if verdict.event is SecurityEvent.EXECUTE:
            line["dst"] = about["dst"]
            if verdict.granted and about["dst"] != KERNEL:
                line["as"] = self._started[verdict.destination_sid] = f"p{verdict.destination_sid}"
            return line
        if "dst" in about:
            line["dst"] = self._started.get(verdict.destination_sid, about["dst"])
        keys = ("interface", "method") if verdict.event is SecurityEvent.SECURITY else (
            "endpoint", "method"
        )  # fmt: skip
        line |= {key: about[key] for key in keys if about.get(key)}
        if values := policy.to_json(verdict).get("values"):
            line["message"] = values
        return line
