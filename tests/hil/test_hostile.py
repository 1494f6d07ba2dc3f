"""Drivers that do anything at all with their device, and other people's: the host stands, and what
happens depends on no window."""

from __future__ import annotations

import random

import pytest

from khs.engine.native import End, Host
from tests.hil.bench import PORT, WINDOW, place
from tests.host.assemble import assemble
from tests.host.system import COLD, Arch, Partition, System, build, policy
from tests.host.windows import cut

TICKS = 12_000
Left = tuple[bytes, list[int], bytes, dict[str, int]]


def arm_access(rng: random.Random) -> str:
    """r1 is the window or its last page, r2 and r3 are data."""
    offset = rng.choice(
        [0, 0x40, 0x80, 0x84, 0x90, 0x94, 0x98, 0xA4, 0xA8, 0xB4, rng.randrange(0, 0x100)]
    )
    reg = rng.choice([0, 2, 3])
    return rng.choice(
        [
            f"ldr r{reg}, [r1, #{offset}]",
            f"str r{reg}, [r1, #{offset}]",
            f"ldrb r{reg}, [r1, #{offset}]",
            f"strb r{reg}, [r1, #{offset}]",
            f"ldrh r{reg}, [r1, #{offset & 0xFF}]",
            f"strh r{reg}, [r1, #{offset & 0xFF}]",
            "ldm r1, {r2, r3, r4}",
            "stm r1, {r2, r3, r4}",
            f"ldrd r2, r3, [r1, #{offset & 0xF8}]",
            f"strd r2, r3, [r1, #{offset & 0xF8}]",
            f"vldr d0, [r1, #{offset & 0xFC}]",
            f"vstr d0, [r1, #{offset & 0xFC}]",
            "vld1.8 {d0-d3}, [r1]",
            "ldrex r2, [r1]",
            "strex r4, r2, [r1]",
            "swp r2, r3, [r1]",
            f"ldrne r{reg}, [r1, #{offset}]",
            f"addls r{reg}, r{reg}, #{rng.randrange(256)}",
            f"mov r3, #{rng.choice([1, 2, 7, 0x27, 0x1000, 0x3F00])}",
            "eor r2, r2, r3, lsl #3",
            "ldr r4, [r1, #0x3ffc]" if rng.random() < 0.05 else "nop",
            "bx r1" if rng.random() < 0.02 else "nop",
        ]
    )


def x86_access(rng: random.Random) -> str:
    port = PORT + rng.choice([*range(8), *range(-4, 12)])
    return rng.choice(
        [
            f"mov edx, {port}",
            f"mov edx, {PORT + rng.randrange(8)}",
            f"mov eax, {rng.choice([0, 1, 3, 7, 0x0B, 0x80, 0x10, rng.randrange(1 << 31)])}",
            "in al, dx",
            "out dx, al",
            "in ax, dx",
            "out dx, ax",
            "in eax, dx",
            "out dx, eax",
            "in al, 0x60" if rng.random() < 0.05 else "nop",
            "insb" if rng.random() < 0.03 else "nop",
            "rep outsb" if rng.random() < 0.03 else "nop",
            "add eax, ecx",
            "pushf",
            "popf",
            "lahf",
            "inc ecx",
            "test cl, 1",
            "setz al",
            "bt ecx, eax",
        ]
    )


def program(arch: Arch, seed: int) -> bytes:
    rng = random.Random(seed)
    if arch is Arch.ARMV7:
        lines = [
            f"1: ldr r1, ={WINDOW}",
            "ldr r0, [r1, #0x98]",
            *(arm_access(rng) for _ in range(40)),
            "b 1b",
            ".ltorg",
        ]
    else:
        lines = [
            f"1: mov edx, {PORT}",
            "in al, dx",
            *(x86_access(rng) for _ in range(40)),
            "jmp 1b",
        ]
    down = "add esp, 4" if arch is Arch.X86 else "add rsp, 8"
    source = "\n".join(lines).replace("pushf\n", f"pushf\n{down}\n").replace("popf\n", "cld\n")
    return assemble(arch, source)


def left(arch: Arch, code: bytes, windows: list[int]) -> Left:
    """Trace, registers, output and counts of a guest with a UART."""
    model = 1 if arch is Arch.ARMV7 else 2
    size = 0x3000 if arch is Arch.ARMV7 else 8
    system = System(arch, [Partition(code, action=COLD)], [(0, ticks) for ticks in windows])
    trace = bytearray()
    with Host(*build(system), [policy()]) as host:
        assert host.add_device(place(arch, size=size, model=model)) == 0
        for tick in range(0, TICKS, 500):
            host.add_input(tick, host.device_target(0), bytes([tick // 500] * 9))
        host.boot()
        end = End.DRAIN
        while end is not End.REACHED:
            end = host.run(1)
            for drained in host.drain():
                for _, part in drained.parts:
                    trace += part
        row = host.device_counts(0)
        counts = {name: int(getattr(row, name)) for name, _ in row._fields_}
        return bytes(trace), host.registers(0), host.device_output(0), counts


@pytest.mark.parametrize("arch", list(Arch))
@pytest.mark.parametrize("seed", range(8))
def test_whatever_a_driver_does(arch: Arch, seed: int) -> None:
    code = program(arch, 100 * int(arch) + seed)
    whole = left(arch, code, [TICKS])
    assert whole[3]["accesses"] > 0
    for window in (1, 7, 61, 1000):
        assert left(arch, code, cut(TICKS, window)) == whole
