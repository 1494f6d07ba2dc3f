"""Guest addresses: a range lies wholly in one region of the caller, with the rights needed."""

from __future__ import annotations

import pytest

from tests.core import systems
from tests.core.host import Call, Code, Script, run
from tests.core.systems import (
    CODE,
    CONSTANTS,
    DATA,
    DATA_SIZE,
    GUARD,
    KEEP,
    PAGE,
    SHARED,
    Partition,
    R,
    System,
)

BAD, OK = Code.BAD_POINTER, Code.OK
TOP = 1 << 64

READS = [
    (DATA, 256, OK),
    (DATA + DATA_SIZE - 256, 256, OK),
    (DATA + DATA_SIZE - 255, 256, BAD),  # goes on in the next region
    (KEEP - 1, 1, OK),
    (KEEP - 1, 2, BAD),
    (KEEP, 1, OK),
    (KEEP + PAGE - 1, 1, OK),
    (KEEP + PAGE, 1, BAD),
    (KEEP + PAGE - 1, 2, BAD),
    (DATA - 1, 1, BAD),
    (DATA - 1, 2, BAD),
    (CODE, 256, OK),
    (CONSTANTS + PAGE - 256, 256, OK),
    (GUARD, 1, BAD),
    (0, 1, BAD),
    (TOP - 1, 1, BAD),
    (TOP - 1, 2, BAD),
    (TOP - 128, 256, BAD),  # wraps around
    (DATA + (1 << 32), 1, BAD),
    (DATA + (1 << 63), 1, BAD),
    (0, 0, OK),  # nothing is read
    (TOP - 1, 0, OK),
    (GUARD, 0, OK),
]


@pytest.mark.parametrize(("address", "size", "code"), READS)
def test_what_the_kernel_reads(address: int, size: int, code: int) -> None:
    script = Script()
    script.start(0).call(Call.CONSOLE_WRITE, address, size)
    done = run(System([Partition("test.A")], [(100, [(0, 0, 100)])]), script, 100)
    assert done.codes(0) == [code]


WRITES = [
    (DATA, OK),
    (DATA + DATA_SIZE - 8, OK),
    (DATA + DATA_SIZE - 7, BAD),
    (DATA + 3, OK),  # any alignment
    (KEEP + PAGE - 8, OK),
    (KEEP + PAGE - 7, BAD),
    (CODE, BAD),
    (CONSTANTS, BAD),
    (GUARD, BAD),
    (0, BAD),
    (TOP - 8, BAD),
    (TOP - 4, BAD),
    (DATA + (1 << 32), BAD),
]


@pytest.mark.parametrize(("address", "code"), WRITES)
def test_what_the_kernel_writes(address: int, code: int) -> None:
    script = Script()
    script.start(0).run(9).call(Call.TIME_GET, address)
    done = run(System([Partition("test.A")], [(100, [(0, 0, 100)])]), script, 100)
    assert done.codes(0) == [code]


def test_every_byte_is_written_where_it_should() -> None:
    script = Script()
    script.start(0).poke(DATA, b"\xee" * 24).run(9).call(Call.TIME_GET, DATA + 3).peek(DATA, 24)
    done = run(System([Partition("test.A")], [(100, [(0, 0, 100)])]), script, 100)
    time = (10_000).to_bytes(8, "little")
    assert done.peeked(0) == [b"\xee" * 3 + time + b"\xee" * 13]


@pytest.mark.parametrize(
    ("rights", "read", "written"), [(0, BAD, BAD), (R, OK, BAD), (R | systems.W, OK, OK)]
)
def test_a_shared_region_is_there_for_those_it_is_mapped_for(
    rights: int, read: int, written: int
) -> None:
    """The next partition's first map is no map of this one."""
    script = Script()
    script.start(0).call(Call.CONSOLE_WRITE, SHARED, 16).call(Call.TIME_GET, SHARED)
    script.start(1).call(Call.CONSOLE_WRITE, SHARED, 16).call(Call.TIME_GET, SHARED)
    system = System(
        [Partition("test.A", shared=rights), Partition("test.B")],
        [(200, [(0, 0, 100), (1, 100, 100)])],
    )
    done = run(system, script, 200)
    assert done.codes(0) == [read, written]
    assert done.codes(1) == [OK, OK]


def test_partitions_share_no_other_memory() -> None:
    script = Script()
    for number in (0, 1):
        guest = script.start(number)
        for address in (DATA, KEEP):
            guest.poke(address, bytes([number + 1] * 16))
        guest.wait().peek(DATA, 16).peek(KEEP, 16).peek(CODE, 16)
    system = System([Partition("test.A")] * 2, [(200, [(0, 0, 100), (1, 100, 100)])])
    done = run(system, script, 400)
    assert done.peeked(0) == [b"\1" * 16, b"\1" * 16, systems.initial(1)]
    assert done.peeked(1) == [b"\2" * 16, b"\2" * 16, systems.initial(5)]
