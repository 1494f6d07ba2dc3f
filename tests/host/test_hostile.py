"""Every case of cases.py, whole and cut into windows of a tick or two."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from khs.engine.native import Host
from tests.host.cases import CASES, Case, Fault, Fine, Kind, Wait
from tests.host.system import (
    CODE,
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
# number = 0, hypercall, loop
SUFFIX = {
    Arch.ARMV7: struct.pack("<3I", 0xE3A07000, 0xEF000000, 0xEAFFFFFE),
    Arch.X86: bytes.fromhex("31c0cd80ebfe"),
    Arch.X64: bytes.fromhex("31c00f05ebfe"),
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
    other = Partition(SUFFIX[arch])
    windows = [slot for _ in range(ticks // window) for slot in ((0, window), (1, 3))]
    config, memory = build(System(arch, [partition, other], windows))
    with Host(config, memory, [policy()]) as host:
        host.boot()
        host.run(frames=1)
        return list(events(b"".join(bytes(p) for d in host.drain() for n, p in d.parts if n == 0)))


def run(case: Case, window: int) -> list[Event]:
    code = PREFIX[case.arch] + case.code + SUFFIX[case.arch]
    return trace(case.arch, Partition(code, action=LOG), window)


def address(case: Case, fault: Fault) -> int:
    """Small ones are offsets in the case."""
    start = CODE + len(PREFIX[case.arch])
    jumped = fault.kind is Kind.EXECUTE and fault.after > 0
    return fault.at if jumped else start + fault.at


@pytest.mark.parametrize("window", [60, 1, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, window: int) -> None:
    before = 2
    seen = run(case, window)
    match case.outcome:
        case Fault() as fault:
            args = (address(case, fault), fault.address, fault.detail)
            assert seen == [Event(before + fault.after, FAULT, 0, fault.kind, args)]
        case Fine(ticks):
            calls = [(event.type, event.ticks, event.number) for event in seen]
            assert calls == [(HYPERCALL, before + ticks + 2, 0)]
        case Wait():
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
