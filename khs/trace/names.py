"""Names for the numbers in events, taken from a trace file's header.

A header is JSON; all parts are optional, a number without a name is shown as it is:

    "manifest"  the archive's manifest: what ran, with hashes
    "run"       {"engine", "seed"}
    "names"     {"clock_hz", "partitions": [NAME], "schedules": [NAME], "inputs": [NAME],
                 "channels": [NAME], "ports": [[NAME] a partition], "policies": [NAME]}
    "outline"   schedules and channels, see `khs.trace.outline`
    "policies"  [policy map], see `khs.trace.policy`
    "symbols"   {PARTITION: [[address, size, NAME]]} in ascending order
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from khs.trace.events import Audit, Event, PolicySwap, Verdict
from khs.trace.policy import PolicyNames
from khs.trace.swap import Fate, fates

DEFAULT_CLOCK_HZ = 125_000_000
#: Swaps that are remembered: so many first ones, which are told at a run's end, and as many last
#: ones. A guest may swap the policy in every frame.
_SWAPS_KNOWN = 64


@dataclass
class Names:
    """What a formatter knows. `observe` every event of a stream in order, printed or not: which
    policy a verdict belongs to is told by the swaps before it."""

    clock_hz: int = DEFAULT_CLOCK_HZ
    partitions: Sequence[str] = ()
    schedules: Sequence[str] = ()
    inputs: Sequence[str] = ()
    channels: Sequence[str] = ()
    ports: Sequence[Sequence[str]] = ()
    policies: Sequence[str] = ()
    maps: Sequence[PolicyNames] = ()
    symbols: Mapping[str, Sequence[tuple[int, int, str]]] = field(default_factory=dict)
    _judged: Verdict | None = None
    _in_force: dict[int, int | None] = field(default_factory=lambda: {0: 0})

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Names:
        """Names out of a header; parts that are missing or of a wrong shape are left out."""
        names = _table(header.get("names"))
        clock_hz = names.get("clock_hz")
        symbols = _table(header.get("symbols"))
        return cls(
            clock_hz=clock_hz if isinstance(clock_hz, int) and clock_hz > 0 else DEFAULT_CLOCK_HZ,
            partitions=_texts(names.get("partitions")),
            schedules=_texts(names.get("schedules")),
            inputs=_texts(names.get("inputs")),
            channels=_texts(names.get("channels")),
            ports=[_texts(ports) for ports in _list(names.get("ports"))],
            policies=_texts(names.get("policies")),
            maps=[PolicyNames(_table(policy)) for policy in _list(header.get("policies"))],
            symbols={name: _symbols(rows) for name, rows in symbols.items()},
        )

    def observe(self, event: Event) -> None:
        """Follows policy swaps, and which verdict an audit record is about."""
        if isinstance(event, Verdict):
            self._judged = event
        if isinstance(event, PolicySwap) and event.kept is not None:
            self._in_force[event.sequence] = event.policy
            if event.sequence > 2 * _SWAPS_KNOWN:
                self._in_force.pop(event.sequence - _SWAPS_KNOWN, None)

    @property
    def in_force(self) -> int | None:
        """The number of the policy in force; None if a partition installed it."""
        return self._in_force[max(self._in_force)]

    def judged_by(self, verdict: Verdict) -> tuple[int | None, str]:
        """The number of the policy that gave this verdict, and the method by name, "" if it has
        none of that number."""
        number = self._in_force.get(verdict.sequence)
        return number, self._map(number).method(verdict)

    def policy_of(self, verdict: Verdict) -> PolicyNames:
        """The policy that gave this verdict."""
        return self._map(self._in_force.get(verdict.sequence))

    def audited(self, event: Audit) -> list[dict[str, object]]:
        """The calls of an audit record, see `PolicyNames.audited`."""
        policy = PolicyNames({}) if self._judged is None else self.policy_of(self._judged)
        return [policy.audited(call) for call in event.calls]

    def swapped(self, swap: PolicySwap) -> list[Fate]:
        """What became of the objects of the old and the new policy."""
        old = self._map(self._in_force.get(swap.sequence - 1))
        return fates(swap, old.objects, self._map(swap.policy).objects)

    def _map(self, number: int | None) -> PolicyNames:
        if number is not None and number < len(self.maps):
            return self.maps[number]
        return PolicyNames({})

    def ms(self, tick: int) -> str:
        """Virtual time since boot in milliseconds, to the nanosecond."""
        ns = tick * 1_000_000_000 // self.clock_hz
        return f"{ns // 1_000_000}.{ns % 1_000_000:06}"

    def partition(self, number: int | None) -> str:
        if number is None:
            return "kernel"
        return _pick(self.partitions, number, "partition")

    def schedule(self, number: int) -> str:
        return _pick(self.schedules, number, "schedule")

    def input(self, number: int) -> str:
        return _pick(self.inputs, number, "input")

    def channel(self, number: int) -> str:
        return _pick(self.channels, number, "channel")

    def policy(self, number: int | None) -> str:
        return "passed at run time" if number is None else _pick(self.policies, number, "policy")

    def port(self, partition: int | None, number: int) -> str:
        ports = (
            self.ports[partition] if partition is not None and partition < len(self.ports) else ()
        )
        return _pick(ports, number, "")

    def symbol(self, partition: int | None, address: int) -> str:
        """`main+0x14`, or "" if the address lies in no known function."""
        rows = self.symbols.get(self.partition(partition), ())
        at = bisect.bisect_right(rows, address, key=lambda row: row[0]) - 1
        if at < 0:
            return ""
        start, size, name = rows[at]
        offset = address - start
        return f"{name}+{offset:#x}" if offset < max(size, 1) else ""


def _pick(names: Sequence[str], number: int, kind: str) -> str:
    return names[number] if number < len(names) else f"{kind} {number}".strip()


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _texts(value: object) -> Sequence[str]:
    return [str(item) for item in _list(value)]


def _symbols(value: object) -> Sequence[tuple[int, int, str]]:
    rows = [tuple(row) for row in _list(value) if isinstance(row, list | tuple) and len(row) == 3]
    kept = [row for row in rows if isinstance(row[0], int) and isinstance(row[1], int)]
    return sorted((int(address), int(size), str(name)) for address, size, name in kept)
