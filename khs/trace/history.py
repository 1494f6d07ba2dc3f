"""Verdicts of a run for judging them again: each with all that was judged before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from khs.errors import TraceError
from khs.trace.events import Event, PolicySwap, Verdict
from khs.trace.kinds import Reason
from khs.trace.lines import EventLines
from khs.trace.names import Names


class Source(Protocol):
    """A trace, or a run so far: its header, and its events from the beginning."""

    @property
    def header(self) -> Mapping[str, Any]: ...

    def events(self) -> Iterable[Event]: ...


@dataclass(frozen=True, slots=True)
class History:
    """`line` is the event as `kss eval` takes it, `before` are those that may have changed what the
    policy remembers; a line `{"policy": N}` among them tells that policy N took effect, one with
    "malformed" why a message was denied before any rule. `processes`
    tells whose the processes are that the lines name."""

    verdict: Verdict
    line: Mapping[str, Any]
    before: tuple[Mapping[str, Any], ...]
    processes: Mapping[str, str]

    @property
    def granted(self) -> bool:
        return self.verdict.granted


class Telling:
    """Feed it every event in order. `processes` tells whose the processes are that lines name."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._lines = EventLines()
        self.processes: dict[str, str] = {}

    def line(self, event: Event) -> Mapping[str, Any] | None:
        """What is to be judged, or which policy took effect; None for all other events. TraceError
        for a policy of which a trace knows nothing. What could not be delivered has a line, too,
        but changed nothing: nobody is to judge it on the way to a later one. Of a malformed message
        a line `{"malformed": WHY}` tells, with the event by names."""
        if isinstance(event, PolicySwap) and event.kept is not None:
            if event.policy is None:
                raise TraceError("a policy that a partition installed is known to nobody else")
            return {"policy": event.policy}
        if not isinstance(event, Verdict):
            return None
        if event.reason is Reason.MALFORMED:
            policy = self._names.policy_of(event)
            return {
                "malformed": policy.why(event),
                "event": event.event.word,
                **policy.facts(event),
            }
        line = self._lines.line(replace(event, trial=False), self._names)
        assert line is not None
        if "as" in line:
            self.processes[line["as"]] = self._names.partition(event.destination)
        return line


def history(source: Source, number: int, *, denied: bool = False) -> History:
    """That of verdict `number`, from 1, or of the denial of that number. TraceError if there is no
    such, or if a policy was in force before it of which a trace knows nothing."""
    names = Names.from_header(source.header)
    telling = Telling(names)
    before: list[Mapping[str, Any]] = []
    count = 0
    for event in source.events():
        names.observe(event)
        try:
            line = telling.line(event)
        except TraceError:
            raise TraceError(
                f"a policy that a partition installed took effect before verdict {number}\n"
                "  help: verdicts before that can be explained"
            ) from None
        if line is None:
            continue
        if isinstance(event, Verdict):
            count += not (denied and event.granted)
            if count == number and not (denied and event.granted):
                return History(event, line, tuple(before), telling.processes)
        if not (isinstance(event, Verdict) and event.trial):
            before.append(line)
    word = "denial" if denied else "verdict"
    raise TraceError(f"the trace has {count} {word}{'s'[: count != 1]}, no number {number}")
