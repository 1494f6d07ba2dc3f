"""A window may end before, on and behind any instruction: what the guest does is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from khs.engine.native import Host
from tests.host.cases import CASES, TRACED, Case, Fault, Fine, Kind, Wait
from tests.host.system import CODE, COLD, RAM, Arch, Partition, System, build, policy
from tests.host.test_hostile import CALL, FAULT, PREFIX, again, events


@dataclass(frozen=True)
class Played:
    """All that a guest did and left."""

    ticks: int
    faults: int
    trace: bytes
    registers: Sequence[int]
    ram: bytes


def play(arch: Arch, code: bytes, cuts: Sequence[int], ticks: int) -> list[Played]:
    """One guest for each cut, which is where its first window ends; its second is the rest."""
    guests = [Partition(code, action=COLD) for _ in cuts]
    windows = [*enumerate(cuts), *((number, ticks - cut) for number, cut in enumerate(cuts))]
    traces = [b""] * len(cuts)
    with Host(*build(System(arch, guests, windows)), [policy()]) as host:
        host.boot()
        while host.status().frames < 1:
            host.run(frames=1)
            for drained in host.drain():
                for number, part in drained.parts:
                    traces[number] += bytes(part)
        return [played(host, number, trace) for number, trace in enumerate(traces)]


def played(host: Host, number: int, trace: bytes) -> Played:
    view = host.view(number)
    ram = host.read(number, RAM, 0x10000)
    return Played(view.ticks, view.faults, trace, host.registers(number), ram)


def length(case: Case) -> int:
    """Ticks from one start of the case, or from one turn of its loop, to the next."""
    before, call, restart = 2, 3, 1
    match case.outcome:
        case Fault(after=after):
            return before + after + restart
        case Fine(ticks):
            return before + ticks + call
    raise AssertionError


@pytest.mark.parametrize(
    "case", [case for case in CASES if not isinstance(case.outcome, Wait)], ids=lambda case: case.id
)
def test_a_window_ends_anywhere(case: Case) -> None:
    """The third time the code is known and runs in whole blocks."""
    code = PREFIX[case.arch] + case.code + CALL[case.arch]
    end = 3 * length(case)
    cuts = [1, *range(end - 7, end + 3)]
    whole, *cut = play(case.arch, code + again(case.arch, len(code)), cuts, end + 60)
    assert whole.ticks == end + 60
    assert [cuts[n] for n, each in enumerate(cut, 1) if each != whole] == []


@pytest.mark.parametrize(("arch", "call", "at"), [(Arch.X86, "cd80", 12), (Arch.X64, "0f05", 11)])
def test_a_single_step_of_a_hypercall(arch: Arch, call: str, at: int) -> None:
    """`syscall` is stepped like any instruction, of `int` and the return from it the next is."""
    code = bytes.fromhex(TRACED + call + "9090")
    whole, *cut = play(arch, code, range(1, 41), 60)
    first = next(event for event in events(whole.trace) if event.type == FAULT)
    assert (first.code, first.args) == (Kind.BREAKPOINT, (CODE + at, 0, 1))
    assert [n for n, each in enumerate(cut, 2) if each != whole] == []
