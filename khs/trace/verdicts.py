"""What was judged on the way of each hypercall, and why the answer was what it was."""

from __future__ import annotations

from dataclasses import dataclass

from khs.trace import text
from khs.trace.events import Event, Hypercall, Verdict
from khs.trace.kinds import Reason
from khs.trace.names import Names

#: Reasons that are remembered. Which there are is the policy's to say, not the guests'.
_KNOWN = 4096
_MOST = 64  # verdicts of one hypercall: a channel has 32 readers at most


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with its reason: the rule with its place, or what is missing."""

    verdict: Verdict
    why: str


class Verdicts:
    """Feed it every event in order. The kernel records what was judged before the hypercall that
    asked for it, at the same tick."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._pending: list[Judged] = []
        self._tick = 0
        self._reasons: dict[tuple[object, ...], str] = {}

    def judged(self, event: Verdict) -> Judged:
        """The verdict with its reason; the next hypercall will have it."""
        self._begin(event)
        found = Judged(event, self._why(event))
        if len(self._pending) < _MOST:
            self._pending.append(found)
        return found

    def of(self, event: Hypercall) -> list[Judged]:
        """What was judged on the hypercall's way."""
        self._begin(event)
        found, self._pending = self._pending, []
        return found

    def _begin(self, event: Event) -> None:
        if event.tick != self._tick:
            self._tick, self._pending = event.tick, []

    def _why(self, event: Verdict) -> str:
        classes = (event.source_class, event.destination_class)
        about = (event.event, event.message[:6])
        key = (event.sequence, event.rule, event.reason, event.granted, *classes, *about)
        if event.reason is Reason.MALFORMED:  # whatever its bytes begin with
            return text.why(event, self._names)
        known = self._reasons.get(key)
        if known is None:
            if len(self._reasons) >= _KNOWN:
                self._reasons.clear()
            known = self._reasons[key] = text.why(event, self._names)
        return known
