"""Shipped systems, built and run: what the tests of this folder have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from khs import config, image
from khs.engine import unicorn
from khs.engine.result import Result
from khs.image.archive import Archive, encode_inputs
from khs.resources import shipped
from khs.runs import Machine
from khs.trace import events
from khs.trace.events import Event

Kind = TypeVar("Kind", bound=Event)
BOARDS = {"armv7": "sabrelite", "x64": "q35", "x86": "pc"}


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    result: Result
    events: Sequence[Event]
    partitions: Sequence[str]

    def of(self, kind: type[Kind], partition: str | None = None) -> list[Kind]:
        """Events of one kind, of one partition if it is named."""
        number = None if partition is None else self.partitions.index(partition)
        return [
            event
            for event in self.events
            if isinstance(event, kind) and number in (None, event.partition)
        ]

    def console(self, partition: str) -> str:
        texts = [event.text for event in self.of(events.Console, partition)]
        return b"".join(texts).decode(errors="replace")


@cache
def built(name: str, board: str, overlays: tuple[Path, ...] = ()) -> Archive:
    """The archive of a shipped system, or of one in a folder."""
    pytest.importorskip("ziglang")
    folder = shipped("images") / name
    return image.build(config.load(folder, board=board, overlays=overlays))


def with_inputs(archive: Archive, messages: Mapping[str, bytes]) -> Archive:
    """The same system with one message for each input, at tick 0."""
    names = archive.names["inputs"]
    rows = [(0, names.index(name), data) for name, data in messages.items()]
    inputs_json, inputs_bin = encode_inputs(rows)
    members = {**archive.members, "inputs.json": inputs_json, "inputs.bin": inputs_bin}
    return Archive(archive.manifest, members)


def run(archive: Archive, frames: int, policy_at: Mapping[int, bytes] | None = None) -> Run:
    with unicorn.Machine(archive, seed=1, policy_at=policy_at) as machine:
        return watched(machine, archive, frames)


def watched(machine: Machine, archive: Archive, frames: int) -> Run:
    """A run on either engine, with its events."""
    seen: list[Event] = []

    def take(records: memoryview) -> None:
        seen.extend(events.decode(record) for record in events.split(records))

    result = machine.run(frames, sink=take)
    return Run(result, seen, list(archive.names["partitions"]))
