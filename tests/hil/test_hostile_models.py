"""Drivers that write anything anywhere into timers, GPIO and watchdogs: the host stands, and what
happens depends on no window. Snapshots in the middle of it go on as it went on."""

from __future__ import annotations

import random

import pytest

from khs.engine.native import Host
from tests.hil.registers import FLEXCAN, KINDS, Kind, left, place
from tests.host.assemble import assemble
from tests.host.system import RAM, Arch, Partition, System, build, policy
from tests.host.windows import cut

TICKS = 6_000
#: Half a second of a watchdog is 100 ticks then, and EPIT has many cycles in each.
CLOCKS = [200, 125_000_000]
ACCESSES = ["ldr", "ldrb", "ldrh", "str", "str", "strb", "strh", "strh"]
VALUES = [0, 1, 2, 7, 0x30, 0x34, 0x5555, 0xAAAA, 0x8001, 0x0100000F, 0xFFFFFFFF]


def arm(kind: Kind, rng: random.Random) -> str:
    offset = rng.choice([*range(0, 0x20, kind.width), rng.randrange(0, 0x40)])
    if kind is FLEXCAN:  # its mailboxes, too
        offset = rng.choice([offset, offset, rng.randrange(0x80, 0x100), rng.randrange(0x1000)])
    if "h" in (access := rng.choice(ACCESSES)):
        offset &= 0xFE
    value = rng.choice([*VALUES, rng.randrange(1 << 32)])
    return f"ldr r0, ={value}\n{access} r0, [r10, #{offset}]\nadd r2, r2, r0"


def x86(kind: Kind, rng: random.Random) -> str:
    port = kind.address + rng.randrange(kind.size)
    value = rng.choice([0x34, 0x36, 0x30, 0xC2, 0xE8, 0, 1, 15, rng.randrange(256)])
    room = kind.address + kind.size - port
    wide = rng.choice(["al", "al", "al", "ax" if room >= 2 else "al", "eax" if room >= 4 else "al"])
    access = rng.choice([f"in {wide}, dx", f"out dx, {wide}", f"out dx, {wide}"])
    return f"mov edx, {port}\nmov eax, {value}\n{access}\nadd esi, eax"


def program(kind: Kind, seed: int) -> bytes:
    rng = random.Random(seed)
    is_arm = kind.arch is Arch.ARMV7
    body = [(arm if is_arm else x86)(kind, rng) for _ in range(60)]
    head, back = (
        (f"1: ldr r10, ={kind.address}", "b 1b\n.ltorg") if is_arm else ("1: nop", "jmp 1b")
    )
    return assemble(kind.arch, "\n".join([head, *body, back]))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_driver_does(kind: Kind, seed: int) -> None:
    rng, code = random.Random(seed), program(kind, seed)
    inputs = [(tick, rng.randbytes(rng.randrange(1, 20))) for tick in range(0, TICKS, 300)]
    hz = CLOCKS[seed % 2]
    whole = left(kind, code, [(0, TICKS)], 1, inputs, hz)
    assert whole.counts["accesses"] > 500
    for window in (1, 61, 1000):
        windows = [(0, length) for length in cut(TICKS, window)]
        assert left(kind, code, windows, 1, inputs, hz) == whole


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_snapshot_goes_on_as_it_went_on(kind: Kind) -> None:
    code = program(kind, 77)
    system = System(kind.arch, [Partition(code)], [(0, TICKS)], clock_hz=200)
    with Host(*build(system), [policy()]) as host:
        assert host.add_device(place(kind)) == 0
        host.add_input(TICKS // 2, host.device_target(0), b"\xff" * 11)
        host.boot()
        host.run(1, TICKS // 3)
        list(host.drain())
        kept, outcomes = host.library.khs_host_snapshot(host.handle), []
        assert kept
        for _ in range(2):
            host.run(1)
            row = host.device_counts(0)
            counts = [int(getattr(row, name)) for name, _ in row._fields_]
            outcomes.append((list(host.registers(0)), counts, host.read(0, RAM, 64)))
            assert host.library.khs_host_restore(host.handle, kept)
        host.library.khs_host_forget(host.handle, kept)
    assert outcomes[0] == outcomes[1]
