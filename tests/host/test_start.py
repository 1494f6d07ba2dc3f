"""What a guest finds in its registers when it starts, whatever it left there the time before."""

from __future__ import annotations

import struct

import pytest

from tests.host.assemble import assemble
from tests.host.conftest import Load
from tests.host.system import COLD, SHARED_FLAG, Arch, Partition, R, Region, System, W

KEPT = 0x50000000
LIFE = 256  # bytes at KEPT that each start fills

#: Stores what it finds behind the lives before, spoils it, and faults.
GUEST = """
    mov esi, 0x50000000
    mov edi, [esi]
    inc dword ptr [esi]
    inc edi
    shl edi, 8
    add esi, edi
    fnstenv [{si}]
    stmxcsr [{si} + 28]
    movups [{si} + 32], xmm0
    movups [{si} + 48], xmm7
    fninit
    fld1
    fld1
    fldz
    fdivp
    pcmpeqd xmm0, xmm0
    pcmpeqd xmm7, xmm7
    mov dword ptr [{sp} - 8], 0x3f80
    ldmxcsr [{sp} - 8]
    mov dword ptr [{sp} - 8], 0x077f
    fldcw [{sp} - 8]
    std
    ud2
"""
#: 1/3, then a conversion as compilers make it, with the control word saved and restored, then 1/3.
THIRDS = """
    mov esi, 0x50000000
    {third}
    fstp tbyte ptr [{si}]
    fnstcw [{sp} - 8]
    movzx eax, word ptr [{sp} - 8]
    or eax, 0xc00
    mov [{sp} - 6], ax
    fldcw [{sp} - 6]
    fldpi
    fistp dword ptr [{si} + 32]
    fldcw [{sp} - 8]
    {third}
    fstp tbyte ptr [{si} + 16]
9:  jmp 9b
"""
ONE_THIRD = struct.pack("<QH", 0xAAAAAAAAAAAAAAAB, 0x3FFD)

X86 = pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])


def kept(load: Load, arch: Arch, source: str, size: int) -> bytes:
    """What such a guest leaves at KEPT, which restarts spare."""
    letter = "r" if arch is Arch.X64 else "e"
    third = "fld1\npush 3\nfild dword ptr [{sp}]\npop {ax}\nfdivp".format(
        sp=f"{letter}sp", ax=f"{letter}ax"
    )
    code = assemble(arch, source.format(si=f"{letter}si", sp=f"{letter}sp", third=third))
    region = Region("kept", KEPT, R | W, flags=SHARED_FLAG)
    guest = Partition(code, action=COLD, regions=(region,))
    host = load(System(arch, [guest], [(0, 150)]))
    host.run(frames=1)
    return host.read(0, KEPT, size)


@X86
def test_floating_point_at_every_start(load: Load, arch: Arch) -> None:
    """As after `fninit`; SSE with every exception masked; no data of the life before."""
    memory = kept(load, arch, GUEST, 5 * LIFE)
    (lives,) = struct.unpack_from("<I", memory)
    assert lives > 3
    for life in range(1, 4):
        control, status, tags, *pointers, mxcsr = struct.unpack_from("<8I", memory, life * LIFE)
        assert (control & 0xFFFF, status & 0xFFFF, tags & 0xFFFF) == (0x37F, 0, 0xFFFF)
        assert pointers == [0] * 4
        assert mxcsr == 0x1F80
        assert memory[life * LIFE + 32 : life * LIFE + 64] == bytes(32)


@X86
def test_extended_precision(load: Load, arch: Arch) -> None:
    memory = kept(load, arch, THIRDS, 36)
    assert memory[:10] == memory[16:26] == ONE_THIRD
    assert memory[32:] == struct.pack("<I", 3)
