"""Windows are exact: how a partition's time is cut up cannot be seen in what it does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khs.engine.native import Host
from tests.host.random_code import program
from tests.host.system import COLD, RAM, Arch, Partition, System, build, policy

ARCHES = list(Arch)


@dataclass(frozen=True)
class Outcome:
    """All a partition can know after so many ticks."""

    registers: list[int]
    ram: bytes
    trace: bytes
    ticks: int
    idle: int
    faults: int


def run(arch: Arch, code: bytes, windows: list[int], ticks: int) -> Outcome:
    """The guest alone, in windows of these lengths with gaps between, for `ticks` of its time."""
    cut = []
    while (done := sum(cut)) < ticks:
        cut.append(min(windows[len(cut) % len(windows)], ticks - done))
    gap = Partition(b"\xfe\xff\xff\xea" if arch is Arch.ARMV7 else b"\xeb\xfe")
    system = System(
        arch,
        [Partition(code, action=COLD), gap],
        [slot for length in cut for slot in ((0, length), (1, 7))],
    )
    config, memory = build(system)
    with Host(config, memory, [policy()]) as host:
        host.boot()
        host.run(frames=1)
        parts = [bytes(part) for d in host.drain() for n, part in d.parts if n == 0]
        view = host.view(0)
        ram = host.read(0, RAM, 0x10000)
        return Outcome(
            host.registers(0), ram, b"".join(parts), view.ticks, view.idle_ticks, view.faults
        )


def same(one: Outcome, other: Outcome) -> None:
    assert one.ticks + one.idle == other.ticks + other.idle
    assert (one.ticks, one.faults) == (other.ticks, other.faults)
    assert one.trace == other.trace
    assert one.registers == other.registers
    assert one.ram == other.ram


@pytest.mark.parametrize("arch", ARCHES)
@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 32), windows=st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_random_programs_in_random_windows(arch: Arch, seed: int, windows: list[int]) -> None:
    code = program(arch, seed)
    whole = run(arch, code, [3000], 3000)
    assert (whole.ticks, whole.faults) == (3000, 0)
    same(whole, run(arch, code, windows, 3000))


@pytest.mark.parametrize("arch", ARCHES)
@settings(max_examples=100)
@given(seed=st.integers(0, 1 << 32), windows=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_hostile_programs_in_random_windows(arch: Arch, seed: int, windows: list[int]) -> None:
    code = program(arch, seed, wild=True, length=12)
    same(run(arch, code, [800], 800), run(arch, code, windows, 800))
