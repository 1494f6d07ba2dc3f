"""Guests whose windows are cut up: all that they did and left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khs.engine.native import Host
from tests.host.system import COLD, RAM, Arch, Partition, System, build, policy


@dataclass(frozen=True)
class Guest:
    """Code, and how long its windows are."""

    code: bytes
    windows: Sequence[int]


@dataclass(frozen=True)
class Played:
    """What a guest can know after its windows."""

    ticks: int
    idle_ticks: int
    faults: int
    trace: bytes
    registers: Sequence[int]
    ram: bytes


def cut(ticks: int, window: int) -> list[int]:
    """Windows of that length, the last one what is left."""
    return [min(window, ticks - begin) for begin in range(0, ticks, window)]


def play(arch: Arch, guests: Sequence[Guest]) -> list[Played]:
    """The guests in one system, their windows in turn; whoever faults starts cold."""
    most = max(len(guest.windows) for guest in guests)
    windows = [
        (number, guest.windows[turn])
        for turn in range(most)
        for number, guest in enumerate(guests)
        if turn < len(guest.windows)
    ]
    partitions = [Partition(guest.code, action=COLD) for guest in guests]
    traces = [bytearray() for _ in guests]
    with Host(*build(System(arch, partitions, windows)), [policy()]) as host:
        host.boot()
        while host.status().frames < 1:
            host.run(frames=1)
            for drained in host.drain():
                for number, part in drained.parts:
                    traces[number] += part
        return [_played(host, number, bytes(trace)) for number, trace in enumerate(traces)]


def _played(host: Host, number: int, trace: bytes) -> Played:
    view = host.view(number)
    ram, registers = host.read(number, RAM, 0x10000), host.registers(number)
    return Played(view.ticks, view.idle_ticks, view.faults, trace, registers, ram)
