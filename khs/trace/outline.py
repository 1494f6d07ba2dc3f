"""What a trace file's header tells of the system beside names: when who has the processor, and who
is connected to whom. "outline" of a header is `Outline` as JSON, all in ticks and by number; a
trace that was recorded without one is read like one of a system without schedules and channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from khs.abi.hypercalls import HYPERCALLS
from khs.trace.events import NONE, Hypercall

Ticks = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
_COPY_UNIT = 64  # bytes, see khs_copy_cost

#: Which argument of a hypercall is the length of what it takes from the caller, by number.
_TAKES = {
    row.number: [argument.name for argument in row.arguments].index(taken.of)
    for row in HYPERCALLS
    for taken in row.arguments
    if taken.kind == "in"
}


class Schedule(msgspec.Struct, frozen=True):
    """`windows`: start in the major frame, length, partition; ascending, without overlap."""

    major_frame: Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]
    windows: tuple[tuple[Ticks, Ticks, Number], ...]

    def __post_init__(self) -> None:
        end = 0
        for start, length, _ in self.windows:
            if start < end or start + length > self.major_frame:
                raise ValueError("windows overlap, or leave the major frame")
            end = start + length


class Channel(msgspec.Struct, frozen=True):
    """Partitions: one source, and readers in the order of the configuration."""

    kind: Literal["sampling", "queuing", "call"]
    source: Number
    readers: tuple[Number, ...]
    depth: Ticks


class Input(msgspec.Struct, frozen=True):
    """An input from outside, and whose it is."""

    partition: Number
    depth: Ticks


class Costs(msgspec.Struct, frozen=True):
    """Ticks of a hypercall beside its instruction: each call, each started 64 bytes, a verdict."""

    call: Ticks = 0
    copy: Ticks = 0
    verdict: Ticks = 0

    def of(self, event: Hypercall, verdicts: int) -> int:
        """Ticks that the hypercall was charged: from its entry until the guest goes on, if it has
        the processor for so long."""
        bytes_copied = len(event.data)
        place = _TAKES.get(event.number)
        if verdicts and place is not None and place < len(event.arguments):
            bytes_copied = event.arguments[place] & NONE
        copies = -(-bytes_copied // _COPY_UNIT)
        return self.call + self.copy * copies + self.verdict * verdicts


class Outline(msgspec.Struct, frozen=True):
    """`ports` by partition: channel, and which of its readers the port is, None for its source."""

    schedules: tuple[Schedule, ...] = ()
    channels: tuple[Channel, ...] = ()
    ports: tuple[tuple[tuple[Number, Number | None], ...], ...] = ()
    inputs: tuple[Input, ...] = ()
    costs: Costs = Costs()

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Outline:
        """That of a trace; an empty one if it has none, or a damaged one."""
        try:
            return msgspec.convert(header.get("outline", {}), cls)
        except (msgspec.ValidationError, RecursionError):
            return cls()

    def port(self, partition: int | None, number: int) -> tuple[int, int | None] | None:
        """Channel and reader of a partition's port, None if there is no such."""
        if partition is None or partition >= len(self.ports):
            return None
        ports = self.ports[partition]
        if number >= len(ports) or ports[number][0] >= len(self.channels):
            return None
        return ports[number]

    def input(self, partition: int | None, number: int) -> int | None:
        """The system's number of a partition's input, None if there is no such."""
        own = [at for at, each in enumerate(self.inputs) if each.partition == partition]
        return own[number] if number < len(own) else None
