"""Arguments of 32 bits in registers of 64: more bits are refused, whatever the hypercall."""

from __future__ import annotations

import pytest

from khs.abi import hypercalls
from khs.abi.table import Hypercall, refused_with
from tests.core import host, systems
from tests.core.host import Call, Code, Script, run
from tests.core.systems import DATA, Partition, System

ALL = Partition("test.A", privileges=tuple(systems.PRIVILEGES))
SYSTEM = System([ALL, Partition("test.B")], [(90_000, [(0, 0, 90_000)])])
VALUES = [
    pytest.param(row, number, id=f"{row.name}-{argument.name}")
    for row in hypercalls.HYPERCALLS
    for number, argument in enumerate(row.arguments)
    if argument.kind == "u32"
]


@pytest.mark.parametrize(("row", "number"), VALUES)
def test_a_value_has_32_bits(row: Hypercall, number: int) -> None:
    """Neither the low half nor any other bit of it counts, and nobody is asked."""
    script = Script()
    guest = script.start(0)
    for wide in (1 << 32, 1 << 63 | 1, 0xF00000003, (1 << 64) - 1):
        arguments = [DATA if each.kind != "u32" else 1 for each in row.arguments]
        arguments[number] = wide
        guest.call(row.number, *arguments)
    done = run(SYSTEM, script, 10_000)
    assert done.codes(0) == [Code[refused_with(row, row.arguments[number])]] * 4
    assert [event for event in done.of(host.VERDICT, 0) if event.kind == host.REQUEST] == []


def test_a_wide_value_counts_before_a_wide_length() -> None:
    script = Script()
    script.start(0).call(Call.REPLY, 1 << 32, DATA, 1 << 32)
    assert run(SYSTEM, script, 100).codes(0) == [Code.INVALID_PARAM]


def test_privileges_count_first() -> None:
    script = Script()
    script.start(0).call(Call.PARTITION_RESTART, 1 << 32, 1)
    done = run(System([Partition("test.A")], SYSTEM.schedules), script, 100)
    assert done.codes(0) == [Code.INVALID_CONFIG]
