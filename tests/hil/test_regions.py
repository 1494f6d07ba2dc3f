"""Writes from outside into memory regions: at their tick, whenever they became known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from khs.engine.native import NEVER, End, Host
from khs.engine.stepping import Stepper
from tests.host.assemble import assemble
from tests.host.system import (
    COLD,
    SHARED,
    SHARED_FLAG,
    Arch,
    Partition,
    R,
    Region,
    System,
    W,
    build,
    policy,
)

CODE, RAM, INFO, SENSOR = range(4)
#: It counts, in a register, rounds in which a word of the region is 0; then how often it is 7.
WATCH = {
    Arch.ARMV7: f"""
        movw r4, #{SHARED & 0xFFFF}
        movt r4, #{SHARED >> 16}
        mov r5, #0
        mov r6, #0
    again:
        ldr r7, [r4, #8]
        cmp r7, #0
        addeq r5, r5, #1
        cmp r7, #7
        addeq r6, r6, #1
        b again
    """,
    Arch.X86: f"""
        mov ebx, {SHARED}
        xor esi, esi
        xor edi, edi
    again:
        mov eax, [ebx + 8]
        cmp eax, 0
        jne other
        inc esi
    other:
        cmp eax, 7
        jne again
        inc edi
        jmp again
    """,
}
COUNTERS = {Arch.ARMV7: (5, 6), Arch.X86: (6, 7)}
ARCHS = list(WATCH)
TICKS = 10_000


def system(arch: Arch, rights: int = R) -> tuple[bytes, bytes]:
    region = Region("sensor", SHARED, rights, flags=SHARED_FLAG)
    guest = Partition(assemble(arch, WATCH[arch]), regions=(region,))
    return build(System(arch, [guest], [(0, TICKS)]))


def word(offset: int, value: int) -> bytes:
    return offset.to_bytes(8, "little") + value.to_bytes(4, "little")


def to(host: Host, tick: int, frames: int = NEVER) -> None:
    while host.run(frames, tick) is not End.REACHED:
        pass


def counted(host: Host, arch: Arch) -> tuple[int, ...]:
    return tuple(host.registers(0)[number] for number in COUNTERS[arch])


def play(
    arch: Arch, inputs: Sequence[tuple[int, int]], live: bool, rights: int = R
) -> tuple[tuple[int, ...], bytes | None]:
    """The guest's counters at the end, and what the region holds."""
    with Host(*system(arch, rights), [policy()]) as host:
        target = host.region_target(SENSOR)
        assert target is not None
        rows = [(tick, target, word(8, value)) for tick, value in inputs]
        if not live:
            assert all(host.add_input(*row) for row in rows)
        host.boot()
        for row in rows if live else []:
            to(host, row[0])
            assert host.add_input(*row)
        to(host, 2 * TICKS)
        return counted(host, arch), host.read_region(SENSOR, 8, 4)


@pytest.mark.parametrize("rights", [R, R | W])
@pytest.mark.parametrize("arch", ARCHS)
def test_a_guest_sees_it_at_its_tick(arch: Arch, rights: int) -> None:
    """A guest that may only read the region, too."""
    inputs = [(3_000, 1), (3_501, 7), (3_501, 2), (TICKS, 3), (TICKS + 1, 0)]
    known = play(arch, inputs, live=False, rights=rights)
    assert known == play(arch, inputs, live=True, rights=rights)
    (zeros, sevens), memory = known
    assert sevens == 0  # what follows at the same tick hides it
    assert memory == bytes(4)
    first = play(arch, [(3_000, 1)], live=False)[0]
    later = play(arch, [(3_600, 1)], live=False)[0]
    assert 0 < first[0] < later[0] < zeros


@pytest.mark.parametrize("arch", ARCHS)
def test_a_snapshot_knows_what_was_written(arch: Arch) -> None:
    """And the region that nobody could write when it was made is as it was."""
    with Host(*system(arch), [policy()]) as host:
        host.boot()
        to(host, 1_000)
        while list(host.drain()):
            pass
        stepper = Stepper(host)
        empty = stepper.snapshot()
        target = host.region_target(SENSOR)
        assert target is not None
        assert host.add_input(2_000, target, word(8, 7))
        to(host, 2_500)
        while list(host.drain()):
            pass
        written = stepper.snapshot()
        to(host, TICKS)
        after = counted(host, arch)
        for kept, value in ((empty, 0), (written, 7)):
            while list(host.drain()):
                pass
            stepper.restore(kept)
            assert host.read_region(SENSOR, 8, 4) == value.to_bytes(4, "little")
            to(host, TICKS)
            assert counted(host, arch) == after
        for kept in (empty, written):
            stepper.forget(kept)


@pytest.mark.parametrize("arch", ARCHS)
def test_it_begins_anew_with_the_system(arch: Arch) -> None:
    with Host(*system(arch), [policy()]) as host:
        target = host.region_target(SENSOR)
        assert target is not None
        assert host.add_input(2_000, target, word(8, 7))
        counts = []
        for _ in range(2):
            host.boot()
            to(host, 1_999)
            assert host.read_region(SENSOR, 8, 4) == bytes(4)
            to(host, TICKS)
            counts.append(counted(host, arch))
        assert counts[0] == counts[1]


def test_what_is_refused() -> None:
    with Host(*system(Arch.ARMV7), [policy()]) as host:
        assert host.region_target(CODE) is None
        assert host.region_target(4) is None
        target = host.region_target(SENSOR)
        assert target is not None
        assert not host.add_input(0, target - SENSOR + CODE, word(0, 1))
        assert not host.add_input(0, target + 1, word(0, 1))
        assert not host.add_input(0, target, b"\x00" * 7)
        for offset in (4093, 4096, 2**63, 2**64 - 1):
            assert not host.add_input(0, target, word(offset, 1))
        assert host.add_input(0, target, word(4092, 1))
        assert host.add_input(0, target, word(4096, 0)[:8])
        assert host.read_region(SENSOR, 4093, 4) is None
        assert host.read_region(9, 0, 1) is None
        host.boot()
        to(host, 1)
        assert host.read_region(SENSOR, 4092, 4) == b"\x01\0\0\0"


#: Counts in memory of its own, and faults in the end; the health monitor starts it again.
FAULTS = f"""
    movw r4, #{SHARED & 0xFFFF}
    movt r4, #{SHARED >> 16}
    ldr r5, [r4, #8]
    mov r6, #20
again:
    subs r6, r6, #1
    bne again
    add r5, r5, #1
    str r5, [r4, #8]
    udf #0
"""


def around_a_fault(tick: int, live: bool) -> tuple[int, bytes | None, bytes | None, list[int]]:
    """With a write at that tick: restarts and what is there one tick later; and in the end."""
    region = Region("own", SHARED, R | W)
    guest = Partition(assemble(Arch.ARMV7, FAULTS), regions=(region,), action=COLD)
    with Host(*build(System(Arch.ARMV7, [guest], [(0, TICKS)])), [policy()]) as host:
        target = host.region_target(SENSOR)
        assert target is not None
        if not live:
            assert host.add_input(tick, target, word(8, 100))
        host.boot()
        to(host, tick)
        if live:
            assert host.add_input(tick, target, word(8, 100))
        to(host, tick + 1)
        now, restarts = host.read_region(SENSOR, 8, 4), int(host.view(0).restarts)
        to(host, 90)
        return restarts, now, host.read_region(SENSOR, 8, 4), host.registers(0)


def test_a_restart_at_the_same_tick() -> None:
    """Takes the memory back; when a write at its tick became known does not matter."""
    rows = {tick: around_a_fault(tick, live=False) for tick in range(38, 54)}
    assert rows == {tick: around_a_fault(tick, live=True) for tick in rows}
    first = next(tick for tick, row in rows.items() if row[0] == 1)
    assert rows[first - 1][0] == 0
    assert rows[first + 1][1] == (100).to_bytes(4, "little")
    assert rows[38][2] != rows[first + 1][2]
