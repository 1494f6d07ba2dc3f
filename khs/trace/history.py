"""One verdict of a trace, and all that was judged before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from khs.errors import TraceError
from khs.trace.events import PolicySwap, Verdict
from khs.trace.file import Reader
from khs.trace.lines import EventLines
from khs.trace.names import Names


@dataclass(frozen=True, slots=True)
class History:
    """`line` is the event as `kss eval` takes it, `before` are those that may have changed what the
    policy remembers; a line `{"policy": N}` among them tells that policy N took effect. `processes`
    tells whose the processes are that the lines name."""

    verdict: Verdict
    line: Mapping[str, Any]
    before: tuple[Mapping[str, Any], ...]
    processes: Mapping[str, str]

    @property
    def granted(self) -> bool:
        return self.verdict.granted


def history(reader: Reader, number: int, *, denied: bool = False) -> History:
    """That of verdict `number`, from 1, or of the denial of that number. TraceError if there is no
    such, or if a policy was in force before it of which a trace knows nothing."""
    names, lines = Names.from_header(reader.header), EventLines()
    before: list[Mapping[str, Any]] = []
    processes: dict[str, str] = {}
    count = 0
    for event in reader.events():
        names.observe(event)
        if isinstance(event, PolicySwap) and event.kept is not None:
            if event.policy is None:
                raise TraceError(
                    f"a policy that a partition installed took effect before verdict {number}\n"
                    "  help: verdicts before that can be explained"
                )
            before.append({"policy": event.policy})
        if not isinstance(event, Verdict):
            continue
        count += not (denied and event.granted)
        line = lines.line(replace(event, trial=False), names)
        assert line is not None
        if "as" in line:
            processes[line["as"]] = names.partition(event.destination)
        if count == number and not (denied and event.granted):
            return History(event, line, tuple(before), processes)
        if not event.trial:
            before.append(line)
    word = "denial" if denied else "verdict"
    raise TraceError(f"the trace has {count} {word}{'s'[: count != 1]}, no number {number}")
