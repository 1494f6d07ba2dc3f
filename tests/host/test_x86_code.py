"""x86 code does the same and counts the same in blocks as one by one.

Every opcode, with prefixes and operands of many forms, stands behind a comparison and before a few
instructions that end in a jump to nowhere, by which it tells the flags and who stored before. Met
for the first time it goes through the engine that steps; later its blocks run whole, on the other
one, and fault in the middle or at once. In short windows all of it is stepped. Memory is always
at another page, which no engine's TLB has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, product

import pytest

from khs.engine.native import Host
from tests.host.assemble import assemble
from tests.host.cases import NOWHERE
from tests.host.system import (
    CODE,
    COLD,
    INFO,
    PAGE,
    RAM,
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
from tests.host.test_hostile import FAULT, Event, events

PREFIXES = ["", "66", "67", "f2", "f3", "f0"]
REX = ["48", "41", "4866", "482e"]  # a prefix behind it takes a REX away
# modrm and what belongs to it: memory without displacement, with one of four bytes; registers
FORMS = ["06", "9600000000", "d9"]
# opcodes that modrm belongs to: all of it, with memory
GROUPS = ["80", "83", "c1", "c7", "d3", *(f"d{n:x}" for n in range(8, 16)), "f6", "fe", "ff"]
GROUPS += ["0f00", "0f01", "0fae", "0fba", "0fc7"]
FILLER = b"\x90" * 8  # immediate, or instructions
PAGES = 1024  # of memory, used in turn
#: Where esi and edi point, and where ebx does: the first time, the next time, and so on.
POINTERS = ((RAM, RAM), (RAM, NOWHERE), (NOWHERE, RAM), (INFO, RAM))
NUMBER, DONE = SHARED, SHARED + 8
COMPARE = b"\x39\xe5"  # cmp ebp, esp
SLOT = 44


def snippets(arch: Arch) -> list[bytes]:
    made = []
    for prefix in PREFIXES + (REX if arch is Arch.X64 else []):
        for escape, opcode, form in product(["", "0f"], range(256), FORMS):
            made.append(bytes.fromhex(prefix + escape) + bytes([opcode]) + bytes.fromhex(form))
        for escape, opcode in product(["0f38", "0f3a"], range(256)):
            made.append(bytes.fromhex(prefix + escape) + bytes([opcode, 0x06]))
        for group, modrm in product(GROUPS, range(0x06, 0x40, 8)):
            made.append(bytes.fromhex(prefix + group) + bytes([modrm]))
    return made


def tail(number: int) -> bytes:
    """Stores to DONE, loads from [ebx] and jumps to the flags plus what was in DONE before."""
    store = b"\xc7\x04\x25" + struct.pack("<II", DONE, number % 0x2000 << 16)
    return b"\x90\x9c\x58" + store + b"\x8b\x0b\x01\xd0\xff\xe0"


def guest(arch: Arch, made: Sequence[bytes]) -> bytes:
    """Goes on to the next snippet whenever it is started, with edx what is in DONE."""
    source = f"""
        mov eax, [{NUMBER}]
        inc dword ptr [{NUMBER}]
        mov esi, eax
        and esi, {PAGES - 1}
        shl esi, 12
        lea esp, [esi + {RAM + 0x900}]
        xor edx, edx
        mov ecx, {len(made)}
        div ecx
        mov ebp, {CODE + PAGE - 8 * len(POINTERS)}
        add esi, 0x100
        cmp eax, 2
        cmovae esi, edi
        add esi, [ebp + 8 * eax]
        lea edi, [esi + 0x200]
        mov ebx, [ebp + 8 * eax + 4]
        mov ebp, {RAM + 0x100900}
        mov ecx, 2
        imul eax, edx, {SLOT}
        add eax, {CODE + PAGE}
        mov [{NUMBER + 16}], eax
        xor eax, eax
        mov edx, [{DONE}]
        jmp {"q" if arch is Arch.X64 else "d"}word ptr [{NUMBER + 16}]
    """
    table = struct.pack(f"<{2 * len(POINTERS)}I", *chain(*POINTERS))
    slots = [
        (COMPARE + code + FILLER + tail(n)).ljust(SLOT, b"\xcc") for n, code in enumerate(made, 1)
    ]
    return (assemble(arch, source).ljust(PAGE - len(table), b"\xcc") + table) + b"".join(slots)


Life = list[Event]  # their ticks are since the event before


def play(arch: Arch, code: bytes, window: int, faults: int) -> list[Life]:
    """What the guest did from each start to its fault, in windows of that length."""
    shared = Region("shared", SHARED, R | W, flags=SHARED_FLAG)
    partition = Partition(code, ram=PAGES * PAGE, action=COLD, regions=(shared,))
    system = System(arch, [partition, Partition(b"\xeb\xfe")], [(0, window), (1, 1)] * 50)
    parts = bytearray()
    with Host(*build(system), [policy()]) as host:
        host.boot()
        while (view := host.view(0)).faults < faults:
            assert view.ticks <= 100 * (view.faults + 100), "an endless snippet"
            host.run(frames=host.status().frames + 50)
            for drained in host.drain():
                parts += b"".join(part for number, part in drained.parts if number == 0)
    return list(lives(parts))[:faults]


def lives(parts: bytes) -> Iterator[Life]:
    life: Life = []
    before = -1  # a restart costs a tick
    for event in events(parts):
        life.append(replace(event, ticks=event.ticks - before))
        before = event.ticks
        if event.type == FAULT:
            yield life
            life = []


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
def test_every_opcode(arch: Arch) -> None:
    """A snippet that gets as far as its end tells who stored to DONE before: nobody who faulted
    before his store."""
    made = snippets(arch)
    code, count = guest(arch, made), len(made)
    whole, stepped = (play(arch, code, window, len(POINTERS) * count) for window in (1000, 3))
    both = enumerate(zip(whole, stepped, strict=True))
    differ = [(*divmod(n, count), *pair) for n, pair in both if pair[0] != pair[1]]
    assert [(made[n].hex(), f"time {time}", *pair) for time, n, *pair in differ] == []
