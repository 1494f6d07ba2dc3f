"""What the policy decided during a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from khs.trace import Names, text
from khs.trace.events import Event, Verdict
from khs.trace.kinds import EventType

_KINDS = frozenset({int(EventType.VERDICT), int(EventType.POLICY)})


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict by names. `kind`: execute, request, response, error, security; `source` and
    `destination`: partitions, "kernel" for the kernel and Einit; classes as the policy calls them;
    `message`: values of its fields; `rule`: `security.psl:31`, "" if none decided; `why`: the rule
    with its text, or what is missing."""

    time_ns: int
    kind: str
    source: str
    source_class: str
    destination: str
    destination_class: str
    endpoint: str
    method: str
    message: dict[str, Any]
    granted: bool
    rule: str
    why: str

    def __str__(self) -> str:
        answer = "granted" if self.granted else "denied"
        called = ".".join(part for part in (self.endpoint, self.method) if part)
        whom = f" -> {self.destination}" if self.destination_class else ""
        return f"{answer} {self.kind} {self.source}{whom} {called}  {self.why}".rstrip()


class Source(Protocol):
    """Whose events they are."""

    def names(self) -> Names: ...
    def events(self, kinds: frozenset[int], whole: bool = False) -> Iterator[tuple[bool, Event]]:
        """Of these types, in order; whether each is of this test."""
        ...


class Audit:
    """Decisions of this test, in the order of time; all of them are in the trace, whatever levels
    of audit the policy asks for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Decision]:
        names = self._source.names()
        for own, event in self._source.events(_KINDS):
            names.observe(event)
            if own and isinstance(event, Verdict) and not event.trial:
                yield _decision(event, names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def granted(self, **wanted: str) -> list[Decision]:
        """Those of `decisions` that were granted."""
        return [row for row in self.decisions(**wanted) if row.granted]

    def denied(self, **wanted: str) -> list[Decision]:
        """Those of `decisions` that were denied."""
        return [row for row in self.decisions(**wanted) if not row.granted]

    def decisions(
        self, *, src: str = "", dst: str = "", endpoint: str = "", method: str = "", kind: str = ""
    ) -> list[Decision]:
        """Those that fit all that is given: partitions or their classes, a method as `Set` or as
        `setpoint.Set`."""
        return [row for row in self if _fits(row, src, dst, endpoint, method, kind)]


def _fits(row: Decision, src: str, dst: str, endpoint: str, method: str, kind: str) -> bool:
    whole = f"{row.endpoint}.{row.method}"
    return (
        src in ("", row.source, row.source_class)
        and dst in ("", row.destination, row.destination_class)
        and endpoint in ("", row.endpoint)
        and method in ("", row.method, whole)
        and kind in ("", row.kind)
    )


def _decision(event: Verdict, names: Names) -> Decision:
    policy = names.policy_of(event)
    row = policy.to_json(event)
    values, rule = row.get("values"), row["rule"]
    about = event.destination_class is not None
    return Decision(
        time_ns=event.tick * 1_000_000_000 // names.clock_hz,
        kind=event.event.word,
        source=names.partition(event.source),
        source_class=policy.class_name(event.source_class),
        destination=names.partition(event.destination) if about else "",
        destination_class=policy.class_name(event.destination_class),
        endpoint=str(row.get("endpoint") or ""),
        method=str(row.get("method") or ""),
        message=dict(values) if isinstance(values, dict) else {},
        granted=event.granted,
        rule=f"{rule['file']}:{rule['line']}" if isinstance(rule, dict) else "",
        why=text.why(event, names),
    )
