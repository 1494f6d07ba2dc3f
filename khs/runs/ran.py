"""What came of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from khs.engine import interrupt
from khs.engine.result import Result
from khs.runs.planned import Plan
from khs.trace.summary import Summary


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run. `audit` is what became of its audit trail, None without one; `stopped`
    tells that the trail ended the run, and why; `refused` are the policies of `Plan.swaps` that did
    not come into force, each with the reason. `machines`: how those of partitions of kind "board"
    ran. `devices`: what went in and out of each, by PARTITION.DEVICE. `plants`: the steps of each;
    `pace`: how late frames were, of a run locked to real time; `ending`: which signal ended it."""

    result: Result
    summary: Summary
    audit: dict[str, Any] | None = None
    stopped: str = ""
    refused: tuple[str, ...] = ()
    machines: dict[str, Any] | None = None
    devices: dict[str, Any] | None = None
    plants: dict[str, Any] | None = None
    pace: dict[str, Any] | None = None
    ending: interrupt.Ending = field(default_factory=interrupt.Ending)

    @property
    def healthy(self) -> bool:
        """The module went on to the end, so did the audit trail, and every policy that was to come
        into force did."""
        return self.result.healthy and not self.stopped and not self.refused

    def to_json(self) -> dict[str, Any]:
        """The document of `khs run --json`."""
        document = self.result.to_json() | {"policies": self.summary.swaps()}
        more = {"audit": self.audit, "machines": self.machines, "devices": self.devices,
                "plants": self.plants, "pace": self.pace}  # fmt: skip
        return document | {key: value for key, value in more.items() if value is not None}


def refused(plan: Plan, summary: Summary) -> Iterator[str]:
    """Which policies of the plan the kernel refused, and why."""
    first = len(plan.archive.policies)
    for number, refusal in sorted(summary.refused_policies.items()):
        if number >= first:
            yield f"{plan.swaps[number - first]}: refused, the old one stays: {refusal.reason}"
