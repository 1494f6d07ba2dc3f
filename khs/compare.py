"""One archive on both engines: whether every partition did and was told the same.

What is compared, per partition and in its own order: each hypercall with its arguments and results,
each end of a wait, and each verdict on what it sent, with the message. Ticks are left out: an
emulated board measures time with its own timer, a few nanoseconds apart. So are values that the
hypercall table types as time (`_ns` fields). A partition with a period is compared up to the last
period that both runs completed; of the others, what one run has more must lie in the last frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from khs.abi.hypercalls import HYPERCALLS
from khs.engine.devices import lacking
from khs.engine.qemu import cards
from khs.trace import Names, events, format, structs, to_json
from khs.trace.events import Event

PERIOD_WAIT = next(call.number for call in HYPERCALLS if call.name == "khs_period_wait")
CONTEXT = 5
#: Names of fields that hold a time.
_TIME = re.compile(r"(.*_)?ns")


@dataclass(frozen=True, slots=True)
class Step:
    """Something comparable, and the event it stands for."""

    key: tuple[object, ...]
    event: Event


@dataclass(frozen=True, slots=True)
class Difference:
    """Step `index` of `partition` is the first that differs; None: that run has none left."""

    partition: str
    index: int
    before: tuple[str, ...]
    a: Step | None
    b: Step | None

    def to_json(self, names: Names) -> dict[str, Any]:
        return {
            "partition": self.partition,
            "index": self.index,
            "before": list(self.before),
            "a": to_json(self.a.event, names) if self.a else None,
            "b": to_json(self.b.event, names) if self.b else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """`compared`: steps by partition; `left_out`: why others are not compared, by partition. Up to
    the first difference: of partitions behind it neither says anything."""

    compared: dict[str, int]
    left_out: Mapping[str, str]
    difference: Difference | None = None

    @property
    def equal(self) -> bool:
        """Nothing differs, and something was compared."""
        return self.difference is None and not self.empty

    @property
    def empty(self) -> bool:
        """No event of any partition was compared: that says nothing of the engines."""
        return self.difference is None and not any(self.compared.values())


class Recorder:
    """A sink for a machine's records: the steps of each partition."""

    def __init__(self, partitions: int) -> None:
        self.steps: list[list[Step]] = [[] for _ in range(partitions)]

    def __call__(self, records: memoryview) -> None:
        for record in events.split(records):
            event = events.decode(record)
            step = _step(event)
            owner = event.source if isinstance(event, events.Verdict) else event.partition
            if step is not None and owner is not None:
                self.steps[owner].append(step)


def _step(event: Event) -> Step | None:
    match event:
        case events.Hypercall():
            told = (event.code, event.value, event.data, _masked(event.number, event.info))
            return Step(("hypercall", event.number, event.arguments, *told), event)
        case events.Resume():
            told = (event.code, event.value, event.data, _masked(event.number, event.info))
            return Step(("resume", event.number, *told), event)
        case events.Verdict():
            about = (event.event, event.source_class, event.destination_class, event.message)
            verdict = (event.granted, event.reason, event.rule, event.trial)
            return Step(("verdict", *about, *verdict), event)
        case _:
            return None


def _masked(number: int | None, info: bytes) -> bytes:
    """The struct that the kernel wrote, without its times."""
    layout = None if number is None else structs.WRITTEN.get(number)
    if layout is None or len(info) < layout.size:
        return info
    masked = bytearray(info)
    for field in layout.fields:
        if _TIME.fullmatch(field.name):
            masked[field.offset : field.offset + field.size] = bytes(field.size)
    return bytes(masked)


def incomparable(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Partitions of which the engines cannot do the same, and why."""
    reasons = dict.fromkeys(
        manifest["run"]["preemption_dependent"],
        "it depends on preemption (run.preemption_dependent)",
    )
    for device in lacking(manifest, {}):
        reasons[device.partition(".")[0]] = f"the unicorn engine does not have {device}"
    for device in cards.can_controllers(manifest, on_cards=False):
        reasons[device.partition(".")[0]] = f"QEMU's board does not have {device}"
    return reasons


def buses(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What CAN controllers that both engines have are joined to by PARTITION.DEVICE: one bus, so
    that somebody acknowledges."""
    return dict.fromkeys(cards.can_controllers(manifest), "compared")


def compare(
    names: Names,
    a: Recorder,
    b: Recorder,
    *,
    left_out: Mapping[str, str],
    last_frame: int,
) -> Comparison:
    """Compares two runs. `last_frame`: the tick at which the last frame of both began."""
    compared = {}
    for number, name in enumerate(names.partitions):
        if name in left_out:
            continue
        one, other = _completed(a.steps[number], b.steps[number])
        index = _first_difference(one, other, last_frame)
        compared[name] = min(len(one), len(other)) if index is None else index
        if index is not None:
            before = tuple(
                format(step.event, names) for step in one[max(0, index - CONTEXT) : index]
            )
            pair = (_at(one, index), _at(other, index))
            return Comparison(compared, left_out, Difference(name, index, before, *pair))
    return Comparison(compared, left_out)


def _completed(a: list[Step], b: list[Step]) -> tuple[list[Step], list[Step]]:
    """Both up to the last period that both completed, whole if they have none."""
    ends_a, ends_b = _periods(a), _periods(b)
    periods = min(len(ends_a), len(ends_b))
    if periods == 0:
        return a, b
    return a[: ends_a[periods - 1] + 1], b[: ends_b[periods - 1] + 1]


def _periods(steps: list[Step]) -> list[int]:
    return [
        index
        for index, step in enumerate(steps)
        if isinstance(step.event, events.Hypercall) and step.event.number == PERIOD_WAIT
    ]


def _first_difference(a: list[Step], b: list[Step], last_frame: int) -> int | None:
    for index, (one, other) in enumerate(zip(a, b, strict=False)):
        if one.key != other.key:
            return index
    shared = min(len(a), len(b))
    rest = a[shared:] or b[shared:]
    return shared if rest and rest[0].event.tick < last_frame else None


def _at(steps: list[Step], index: int) -> Step | None:
    return steps[index] if index < len(steps) else None
