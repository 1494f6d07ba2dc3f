"""Every case of cases.py, whole and cut into windows of a tick or two, again and again: code that
an engine has not seen before takes another way through it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from khs.engine.native import Host
from tests.host.cases import CASES, Case, Fault, Fine, Kind, Wait
from tests.host.system import (
    CODE,
    COLD,
    LOG,
    PAGE,
    Arch,
    Partition,
    R,
    Region,
    System,
    W,
    build,
    policy,
)

PREFIX = {Arch.ARMV7: bytes.fromhex("0000a0e1") * 2, Arch.X86: b"\x90\x90", Arch.X64: b"\x90\x90"}
# number = 0, hypercall
CALL = {
    Arch.ARMV7: struct.pack("<2I", 0xE3A07000, 0xEF000000),
    Arch.X86: bytes.fromhex("31c0cd80"),
    Arch.X64: bytes.fromhex("31c00f05"),
}
HYPERCALL, FAULT, WAIT = 4, 7, 15
EVENT = struct.Struct("<QHHIIHHII")


@dataclass(frozen=True)
class Event:
    """The partition part of a record."""

    ticks: int
    type: int
    number: int
    code: int
    args: tuple[int, ...]


def events(data: bytes) -> Iterator[Event]:
    at = 0
    while at < len(data):
        local, kind, number, code, _, count, _, size, _ = EVENT.unpack_from(data, at)
        args = struct.unpack_from(f"<{count}Q", data, at + EVENT.size)
        yield Event(local, kind, number, code, args)
        at += -(-(EVENT.size + 8 * count + size) // 8) * 8


def trace(arch: Arch, partition: Partition, window: int, ticks: int = 60) -> list[Event]:
    """What the guest could see in so many ticks of its own."""
    other = Partition(CALL[arch] + again(arch, 0))
    windows = [slot for _ in range(ticks // window) for slot in ((0, window), (1, 3))]
    config, memory = build(System(arch, [partition, other], windows))
    with Host(config, memory, [policy()]) as host:
        host.boot()
        host.run(frames=1)
        return list(events(b"".join(bytes(p) for d in host.drain() for n, p in d.parts if n == 0)))


def again(arch: Arch, size: int) -> bytes:
    """A jump back over `size` bytes."""
    if arch is Arch.ARMV7:
        return struct.pack("<I", 0xEA000000 | (-size // 4 - 2 & 0xFFFFFF))
    return b"\xe9" + struct.pack("<i", -size - 5)


def run(case: Case, window: int, ticks: int = 60) -> list[Event]:
    """The case in a loop with a hypercall; a fault starts it from the beginning."""
    code = PREFIX[case.arch] + case.code + CALL[case.arch]
    return trace(
        case.arch, Partition(code + again(case.arch, len(code)), action=COLD), window, ticks
    )


def address(case: Case, fault: Fault) -> int:
    """Small ones are offsets in the case."""
    start = CODE + len(PREFIX[case.arch])
    jumped = fault.kind is Kind.EXECUTE and fault.after > 0
    return fault.at if jumped else start + fault.at


@pytest.mark.parametrize("window", [60, 1, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, window: int) -> None:
    before, call, lives = 2, 3, 4
    match case.outcome:
        case Fault() as fault:
            life = before + fault.after
            args = (address(case, fault), fault.address, fault.detail)
            at = [life + n * (life + 1) for n in range(lives)]  # a restart costs a tick
            wanted = [Event(ticks, FAULT, 0, fault.kind, args) for ticks in at]
            assert run(case, window, lives * 60)[:lives] == wanted
        case Fine(ticks):
            life = before + ticks + call
            calls = [
                (event.type, event.ticks, event.number) for event in run(case, window, lives * 60)
            ]
            assert calls[:lives] == [(HYPERCALL, life * n - 1, 0) for n in range(1, lives + 1)]
        case Wait():
            seen = run(case, window)
            assert (seen[0].type, seen[0].ticks) == (WAIT, before + 1)
            assert window == 60 or seen[-1].type == HYPERCALL


NEXT = CODE + PAGE
BEHIND = {
    "nothing": (),
    "data": (Region("next", NEXT, R | W),),
    "constants": (Region("next", NEXT, R),),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("window", [3000, 7, 600])
@pytest.mark.parametrize(
    "last", [b"", b"\xb8\x01\x02", b"\x66", b"\x0f"], ids=["whole", "immediate", "prefix", "escape"]
)
@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_running_off_code(arch: Arch, last: bytes, window: int, behind: str) -> None:
    """The instructions before the edge are carried out, also those of the same block."""
    code = b"\x90" * 3 + b"\xe9" + struct.pack("<i", PAGE - 1500 - 8)
    code = code.ljust(PAGE - 1500, b"\xcc") + b"\x90" * (1500 - len(last)) + last
    seen = trace(arch, Partition(code, action=LOG, regions=BEHIND[behind]), window, 3000)
    args = (NEXT - len(last), NEXT, int(behind != "nothing"))
    assert seen == [Event(4 + 1500 - len(last), FAULT, 0, Kind.EXECUTE, args)]


@pytest.mark.parametrize("window", [2000, 1, 7, 600])
def test_running_off_arm_code(window: int) -> None:
    code = b"\x00\x00\xa0\xe1" * 1024
    seen = trace(Arch.ARMV7, Partition(code, action=LOG), window, 2000)
    assert seen == [Event(1024, FAULT, 0, Kind.EXECUTE, (NEXT, NEXT, 0))]


@pytest.mark.parametrize("window", [900, 1, 7, 100])
@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_a_fault_in_a_long_block_near_the_edge(arch: Arch, window: int) -> None:
    """More instructions than one block holds, so that the engine's blocks depend on the windows."""
    code = (b"\x90" * 700 + b"\x31\xc9\xf7\xf1").ljust(PAGE, b"\x90")
    seen = trace(arch, Partition(code, action=LOG), window, 900)
    assert seen == [Event(701, FAULT, 0, Kind.DIVIDE, (CODE + 702, 0, 0))]


def test_entry_in_thumb_code() -> None:
    partition = Partition(PREFIX[Arch.ARMV7], entry=CODE + 1, action=LOG)
    seen = trace(Arch.ARMV7, partition, 60)
    assert seen == [Event(0, FAULT, 0, Kind.ISA, (CODE + 1, CODE + 1, 0))]
