"""Nothing undocumented answers: every hypercall number, and every trap there is.

Many cases are put into one system; each ends with a fault and stops the partition, and the warden
starts the next one in the next major frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, product

import pytest

from khs.abi.hypercalls import CODES, HYPERCALLS
from khs.abi.table import Hypercall as Row
from khs.abi.table import refused_with
from khs.engine.native import End, Host
from khs.trace import events
from khs.trace.events import Event
from khs.trace.kinds import FaultKind
from tests.core import systems
from tests.fuzz import system
from tests.fuzz.emit import ARGUMENTS, NUMBER, TRAP, hypercall, load
from tests.fuzz.system import CASES, HOSTILE, SLOT
from tests.host.system import Arch

KNOWN = {row.number: row for row in HYPERCALLS}
CODE_NAMES = {code.number: code.name for code in CODES}
STATUS_CALL = 4  # of the entry point, before each case


def play(arch: Arch, codes: Sequence[bytes]) -> list[list[Event]]:
    """Events of each case: those of hypercalls and faults, the entry point's own aside."""
    count = 1 << (len(codes) - 1).bit_length()
    made = system.system(arch, [*codes, *[b""] * (count - len(codes))])
    made = replace(made, default_health=(systems.PARTITION, systems.IDLE))
    with Host(made.config(), made.memory(), [system.policy()] * 2) as host:
        host.boot()
        return list(islice(_starts(_events(host, count + 1)), len(codes)))


def _events(host: Host, restarts: int) -> Iterator[Event]:
    frames = 0
    while host.view(HOSTILE).restarts < restarts:
        frames += 100
        while True:
            end = host.run(frames=frames)
            assert end is not End.STOPPED
            for drained in host.drain():
                yield from map(events.decode, events.split(bytes(drained.records)))
            if end is End.REACHED:
                break


def _starts(stream: Iterable[Event]) -> Iterator[list[Event]]:
    """Hypercalls and faults of the hostile partition from each start to the next."""
    seen: list[Event] | None = None
    for event in stream:
        if event.partition != HOSTILE:
            continue
        if isinstance(event, events.Start):
            if seen is not None:
                yield seen[1:]
            seen = []
        elif isinstance(event, events.Hypercall | events.Fault) and seen is not None:
            if not seen:
                assert isinstance(event, events.Hypercall)
                assert (event.number, event.code) == (STATUS_CALL, 0)
            seen.append(event)


def place(number: int, offset: int = 0) -> int:
    """Address of a case."""
    return CASES + number * SLOT + offset


# ---- hypercalls ------------------------------------------------------------

UNKNOWN_NUMBERS = [*range(len(HYPERCALLS), 1024), 1 << 16, 1 << 16 | 4, 1 << 31, (1 << 32) - 1]
HIGH_NUMBERS = [
    high | low for high in (1 << 32, 1 << 63, 0xFFFFFFFF << 32) for low in (0, 1, 4, 99)
]


@pytest.mark.parametrize("arch", Arch)
def test_numbers_that_do_not_exist(arch: Arch) -> None:
    check_unknown(arch, UNKNOWN_NUMBERS)


def test_numbers_are_64_bits_wide_on_x64() -> None:
    check_unknown(Arch.X64, HIGH_NUMBERS)


def _name(call: events.Hypercall) -> str:
    return "" if call.code is None else CODE_NAMES[call.code]


def check_unknown(arch: Arch, numbers: Sequence[int]) -> None:
    played = play(arch, [hypercall(arch, number, 1, systems.DATA, 16) for number in numbers])
    for number, seen in zip(numbers, played, strict=True):
        call, fault = seen
        assert isinstance(call, events.Hypercall), hex(number)
        assert (_name(call), call.value) == ("UNKNOWN", 0), hex(number)
        assert call.data == b""
        assert isinstance(fault, events.Fault), hex(number)


#: By kind of argument: values that are fine, and values that are not.
_GOOD_POINTER = systems.DATA + 0x400
_BAD_POINTERS = (
    0,
    systems.GUARD,
    systems.DATA + systems.DATA_SIZE - 4,
    systems.SHARED + systems.PAGE,
    0xFFFFFFF8,
)


def _arguments(row: Row) -> Iterator[tuple[bool, tuple[int, ...]]]:
    """(all pointers are good, values) in many combinations."""
    u32 = (0, 1, 2, 16, 0xFFFFFFFF)
    plain = [n for n, each in enumerate(row.arguments) if each.kind == "u32"]
    pointers = [n for n, each in enumerate(row.arguments) if each.kind != "u32"]
    for values in product(u32, repeat=min(len(plain), 3)):
        for bad in (None, *pointers):
            for pointer in (_GOOD_POINTER,) if bad is None else _BAD_POINTERS:
                made = [16] * len(row.arguments)
                for n, value in zip(plain, values, strict=False):
                    made[n] = value
                for n in pointers:
                    made[n] = pointer if n == bad else _GOOD_POINTER
                yield bad is None, tuple(made)


@cache
def _known_calls() -> list[tuple[Row, bool, tuple[int, ...]]]:
    return [(row, fine, values) for row in HYPERCALLS for fine, values in _arguments(row)]


@pytest.mark.parametrize("arch", Arch)
def test_numbers_that_exist(arch: Arch) -> None:
    """Codes are those of the row; a call that writes a struct minds where."""
    calls = _known_calls()
    played = play(arch, [hypercall(arch, row.number, *values) for row, _, values in calls])
    answered = set()
    for (row, fine, values), seen in zip(calls, played, strict=True):
        call = seen[0]
        assert isinstance(call, events.Hypercall), row.name
        assert (call.number, call.arguments) == (row.number, values)
        if call.code is None:
            assert row.errors or row.name == "khs_wait", row.name
            continue
        name = CODE_NAMES[call.code]
        listed = ("OK", *row.errors)
        assert name in listed, f"{row.name}{values} answers {name}"
        assert row.value or call.value == 0, f"{row.name}{values} has a value"
        if not fine and row.arguments[-1].kind == "struct" and len(row.arguments) == 1:
            assert name == "BAD_POINTER", f"{row.name}{values}"
        answered.add(row.name)
    assert answered == {row.name for row in HYPERCALLS} - {"khs_wait"}


def test_values_are_32_bits_wide_on_x64() -> None:
    """The low half of a register is not taken for the whole."""
    calls = [
        (row, number)
        for row in HYPERCALLS
        for number, each in enumerate(row.arguments)
        if each.kind == "u32"
    ]
    codes = []
    for row, number in calls:
        values = [_GOOD_POINTER if each.kind != "u32" else 1 for each in row.arguments]
        values[number] = 1 << 32 | 1
        codes.append(hypercall(Arch.X64, row.number, *values))
    for (row, number), (call, *_) in zip(calls, play(Arch.X64, codes), strict=True):
        assert isinstance(call, events.Hypercall)
        argument = row.arguments[number]
        assert call.arguments[number] == 1 << 32 | 1
        assert _name(call) == refused_with(row, argument), f"{row.name} {argument.name}"


def _low_half(arch: Arch) -> bytes:
    """khs_time_get with a pointer whose low half is fine."""
    code = load(arch, ARGUMENTS[arch][0], 1 << 32 | _GOOD_POINTER)
    return code + load(arch, NUMBER[arch], 1) + TRAP[arch]


def test_pointers_are_64_bits_wide_on_x64() -> None:
    ((call, _),) = play(Arch.X64, [_low_half(Arch.X64)])
    assert isinstance(call, events.Hypercall)
    assert _name(call) == "BAD_POINTER"


# ---- traps -----------------------------------------------------------------

HYPERCALL = None
Trap = tuple[bytes, tuple[FaultKind, int] | None]


def _int(number: int, arch: Arch) -> tuple[FaultKind, int] | None:
    if number == 0x80 and arch is Arch.X86:
        return HYPERCALL
    return (FaultKind.BREAKPOINT if number == 3 else FaultKind.TRAP, number)


def _x86_traps(arch: Arch) -> Iterator[Trap]:
    undefined, breakpoint = (FaultKind.UNDEFINED, 0), FaultKind.BREAKPOINT
    yield from ((bytes([0xCD, number]), _int(number, arch)) for number in range(256))
    yield b"\xcc", (breakpoint, 3)
    yield b"\xf1", (breakpoint, 1)
    wide = arch is Arch.X64
    yield b"\x0f\x05", HYPERCALL if wide else undefined  # syscall
    yield b"\x0f\x34", undefined if wide else (FaultKind.PRIVILEGED, 13)  # sysenter
    yield b"\x0f\x01\xc1", undefined  # vmcall
    yield b"\x0f\x01\xd9", undefined  # vmmcall
    yield b"\x0f\x0b", undefined


def _arm_traps(_: Arch) -> Iterator[Trap]:
    comments = [*range(256), 0x100, 0xFFFF, 0x10000, 0x123456, 0x800000, 0xFFFFFF, 0x9000F0, 0xAB]
    for comment in comments:
        expected = (FaultKind.TRAP, comment) if comment else HYPERCALL
        yield struct.pack("<I", 0xEF000000 | comment), expected
    for immediate in (0, 1, 0xF, 0x10, 0xAB, 0xFFF0, 0xFFFF):
        scattered = (immediate >> 4) << 8 | immediate & 0xF
        yield struct.pack("<I", 0xE1200070 | scattered), (FaultKind.BREAKPOINT, 0)
        yield struct.pack("<I", 0xE1400070 | scattered), (FaultKind.UNDEFINED, 0)  # hvc
    for immediate in range(16):
        yield struct.pack("<I", 0xE1600070 | immediate), (FaultKind.UNDEFINED, 0)  # smc
    for immediate in (0, 1, 0xFFFF):
        scattered = (immediate >> 4) << 8 | immediate & 0xF
        yield struct.pack("<I", 0xE7F000F0 | scattered), (FaultKind.UNDEFINED, 0)  # udf


@pytest.mark.parametrize("arch", Arch)
def test_every_trap(arch: Arch) -> None:
    traps = list((_arm_traps if arch is Arch.ARMV7 else _x86_traps)(arch))
    unknown = load(arch, NUMBER[arch], 999)
    played = play(arch, [unknown + code for code, _ in traps])
    for number, ((code, expected), seen) in enumerate(zip(traps, played, strict=True)):
        if expected is HYPERCALL:
            assert [type(event) for event in seen] == [events.Hypercall, events.Fault], code.hex()
            assert CODE_NAMES[getattr(seen[0], "code", 0)] == "UNKNOWN"
            continue
        (fault,) = seen
        assert isinstance(fault, events.Fault), code.hex()
        assert (fault.fault, fault.detail) == expected, code.hex()
        assert fault.pc == place(number, len(unknown)), code.hex()
