"""Instructions that the CPU engine cannot translate: it stops before them, wherever they begin."""

from __future__ import annotations

import time

import pytest

from khs.engine.native import End, scan
from tests.host.conftest import Load
from tests.host.system import CODE, COLD, LOG, PAGE, Arch, Partition, R, Region, System, X
from tests.host.test_hostile import FAULT, Kind, events

LOCK_BTS = b"\xf0\x66\x0f\xab\xd1"
X86 = pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])


def faults(load: Load, system: System) -> list[tuple[int, int, int]]:
    """Ticks, kind and address of partition 0's faults in a frame."""
    host = load(system)
    host.run(frames=1)
    assert host.status().abandoned == 0
    parts = b"".join(bytes(part) for d in host.drain() for n, part in d.parts if n == 0)
    return [(e.ticks, e.code, e.args[0]) for e in events(parts) if e.type == FAULT]


@X86
@pytest.mark.parametrize("window", [2000, 1, 7])
@pytest.mark.parametrize("cut", range(1, len(LOCK_BTS)))
def test_across_two_regions(load: Load, arch: Arch, cut: int, window: int) -> None:
    """Code regions may follow each other without a gap, and so may the bytes of an instruction."""
    work = b"\xe9" + (PAGE - 1000 - 5).to_bytes(4, "little")
    code = work.ljust(PAGE - 1000, b"\xcc") + LOCK_BTS[:cut].rjust(1000, b"\x90")
    behind = Region("more", CODE + PAGE, R | X, data=LOCK_BTS[cut:])
    system = System(
        arch, [Partition(code, action=LOG, regions=(behind,))], [(0, window)] * (2000 // window)
    )
    place = CODE + PAGE - cut
    assert faults(load, system) == [(1 + 1000 - cut, Kind.UNDEFINED, place)]


@X86
@pytest.mark.parametrize(
    ("last", "kind"), [("f00fbae8", Kind.EXECUTE), ("f00fabd1", Kind.UNDEFINED)]
)
def test_at_the_end_of_code(load: Load, arch: Arch, last: str, kind: Kind) -> None:
    """An instruction that reaches over it is fetched first."""
    code = bytes.fromhex(last).rjust(PAGE, b"\x90")
    system = System(arch, [Partition(code, action=LOG)], [(0, 2 * PAGE)])
    assert faults(load, system) == [(PAGE - 4, kind, CODE + PAGE - 4)]


@X86
def test_a_thousand_restarts_lose_no_engine(load: Load, arch: Arch) -> None:
    host = load(System(arch, [Partition(b"\x90" + LOCK_BTS, action=COLD)], [(0, 2500)]))
    while host.run(frames=1) is End.DRAIN:
        for _ in host.drain():
            pass
    view = host.view(0)
    assert view.restarts == view.faults > 1000
    assert host.status().abandoned == 0


@X86
def test_every_beginning_of_an_instruction_is_one(load: Load, arch: Arch) -> None:
    """A jump to any of its prefixes up to the lock; behind that it is an ordinary bit test."""
    prefixed = b"\x66\x2e\xf0\x66\x3e\x0f\xab\xd1"
    for skip in range(6):
        code = bytes([0xEB, skip]) + prefixed + b"\x0f\x0b"
        found = faults(load, System(arch, [Partition(code, action=LOG)], [(0, 100)]))
        wanted = (1, Kind.UNDEFINED, CODE + 2 + skip)
        if skip > 2:
            wanted = (2, Kind.UNDEFINED, CODE + 2 + len(prefixed))
        assert found == [wanted]


@X86
@pytest.mark.parametrize("unit", ["f0", "f066", "0f", "0fabd1", "660fabd1", "f0" * 20 + "0fabd1"])
def test_a_flood_takes_no_time(arch: Arch, unit: str) -> None:
    """An instruction has at most 15 bytes: so many prefixes are looked at."""
    code = bytes.fromhex(unit) * (4_000_000 // len(unit))
    began = time.process_time()
    found = scan(arch, code)
    assert time.process_time() - began < 1
    assert found == (8 if unit.startswith("f0f0") else None)


ABORTS = [
    "f00fa3d1",
    "f00fabc0",
    "f00fb3d1",
    "f00fbbff",
    "f00fbae001",
    "f0660fabd1",
    "f0f0f30fb3c8",
]
FINE = [
    "f00fab0e",
    "f00fba2801",
    "0fabd1",
    "f00fb1c8",
    "f04801d8",
    "f00fc7c8",
    "f0",
    "f00f",
    "f00fab",
]


@X86
def test_scan(arch: Arch) -> None:
    for text in ABORTS:
        for before in (b"", b"\x90" * 37, b"\xb8\x31"):
            code = bytes.fromhex(text)
            assert scan(arch, before + code + b"\x90") == len(before), text
            assert scan(Arch.ARMV7, before + code) is None
    for text in FINE:
        assert scan(arch, b"\x90" + bytes.fromhex(text)) is None, text
    rex = bytes.fromhex("f0480fabd1")
    assert scan(arch, rex) == (0 if arch is Arch.X64 else None)
