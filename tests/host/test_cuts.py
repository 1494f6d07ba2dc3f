"""A window may end before, on and behind any instruction: what the guest does is the same."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.host.cases import CASES, TRACED, Case, Fault, Fine, Kind, Wait
from tests.host.system import CODE, Arch
from tests.host.test_hostile import CALL, FAULT, PREFIX, again, events
from tests.host.windows import Guest, Played, play


def length(case: Case) -> int:
    """Ticks from one start of the case, or from one turn of its loop, to the next."""
    before, call, restart = 2, 3, 1
    match case.outcome:
        case Fault(after=after):
            return before + after + restart
        case Fine(ticks):
            return before + ticks + call
    raise AssertionError


def differing(
    arch: Arch, code: bytes, ticks: int, cuts: Iterable[int]
) -> tuple[Played, dict[int, Played]]:
    """What comes of the whole, and of which cuts into two windows something else."""
    cuts = list(cuts)
    guests = [Guest(code, [ticks]), *(Guest(code, [at, ticks - at]) for at in cuts)]
    whole, *rest = play(arch, guests)
    return whole, {at: each for at, each in zip(cuts, rest, strict=True) if each != whole}


@pytest.mark.parametrize(
    "case", [case for case in CASES if not isinstance(case.outcome, Wait)], ids=lambda case: case.id
)
def test_a_window_ends_anywhere(case: Case) -> None:
    """The third time the code is known and runs in whole blocks."""
    code = PREFIX[case.arch] + case.code + CALL[case.arch]
    end = 3 * length(case)
    whole, differ = differing(
        case.arch, code + again(case.arch, len(code)), end + 60, range(end - 7, end + 3)
    )
    assert whole.ticks == end + 60
    assert differ == {}


@pytest.mark.parametrize(("arch", "call", "at"), [(Arch.X86, "cd80", 12), (Arch.X64, "0f05", 11)])
def test_a_single_step_of_a_hypercall(arch: Arch, call: str, at: int) -> None:
    """`syscall` is stepped like any instruction, of `int` and the return from it the next is."""
    whole, differ = differing(arch, bytes.fromhex(TRACED + call + "9090"), 60, range(1, 40))
    first = next(event for event in events(whole.trace) if event.type == FAULT)
    assert (first.code, first.args) == (Kind.BREAKPOINT, (CODE + at, 0, 1))
    assert differ == {}
