"""Instructions that are begun again after an access to a watched page was refused: their flags and
results are those of an instruction that was not."""

from __future__ import annotations

import pytest

from khs.debug.stops import Access, Cause, Watch
from tests.debug.systems import target
from tests.host.assemble import assemble
from tests.host.system import RAM, Arch, Partition, System

#: The engine keeps flags as operands of what set them, in different ways.
SETTERS = (
    "stc", "clc", "cmp ebx, ecx", "cmp ecx, ebx", "add edx, ebx", "sub edx, ebx", "inc edx",
    "dec edx", "test ebx, ebx", "shl edx, 3", "shr edx, cl", "adc edx, ebx", "sbb edx, edx",
    "imul edx, ebx", "bt ebx, 3", "neg edx", "xor edx, edx",
)  # fmt: skip
ACCESSES = (
    "adc dword ptr [REG], ebx", "sbb dword ptr [REG], ebx", "adc ebx, dword ptr [REG]",
    "sbb ebx, dword ptr [REG]", "adc dword ptr [REG], 7", "sbb byte ptr [REG], 7",
    "rcl dword ptr [REG], 1", "rcr dword ptr [REG], 1", "rcl dword ptr [REG], cl",
    "rcr byte ptr [REG], 3", "rol dword ptr [REG], 1", "ror dword ptr [REG], cl",
    "shl dword ptr [REG], 1", "shr dword ptr [REG], cl", "sar byte ptr [REG], 2",
    "setz byte ptr [REG]", "setc byte ptr [REG]", "setle byte ptr [REG]", "seta byte ptr [REG]",
    "shld dword ptr [REG], ebx, 3", "shrd dword ptr [REG], ebx, cl", "inc dword ptr [REG]",
    "dec byte ptr [REG]", "neg dword ptr [REG]", "not dword ptr [REG]", "xadd dword ptr [REG], ebx",
    "cmpxchg dword ptr [REG], ebx", "bts dword ptr [REG], ecx", "btc dword ptr [REG], 5",
    "lock adc dword ptr [REG], ebx", "lock inc dword ptr [REG]", "lock xadd dword ptr [REG], ebx",
    "cmovz ebx, dword ptr [REG]", "cmovc ebx, dword ptr [REG]", "imul ebx, dword ptr [REG]",
    "mul dword ptr [REG]", "cmp dword ptr [REG], ebx", "test dword ptr [REG], ebx",
    "xchg dword ptr [REG], ebx", "add dword ptr [REG], ebx", "cmpsb", "scasb", "lodsb", "movsb",
    "rep movsb", "repz cmpsb", "repnz scasb", "rep stosd", "push ax\npop ax", "bt dword ptr [REG], 9",
    "fild dword ptr [REG]", "fistp dword ptr [REG]", "fld tbyte ptr [REG]", "fstp tbyte ptr [REG]",
    "fnstsw word ptr [REG]", "comisd xmm0, qword ptr [REG]", "movups xmmword ptr [REG], xmm0",
    "cmpxchg8b qword ptr [REG]", "fxsave [REG + 0x100]", "fnsave [REG + 0x300]",
)  # fmt: skip


def _code(arch: Arch, accesses: tuple[str, ...]) -> bytes:
    """Each once with flags of each kind, over and over; what they were adds up in xmm6."""
    register = "rsi" if arch is Arch.X64 else "esi"
    push, flags = ("pushfq", "rbp") if arch is Arch.X64 else ("pushfd", "ebp")
    lines = ["mov ebx, 0x1234567", "mov ecx, 5", "loop:"]
    for access in accesses:
        for setter in SETTERS:
            lines += [f"mov edi, {RAM + 0x2010}", f"mov esi, {RAM + 0x2000}", setter]
            lines += [access.replace("REG", register), push, f"pop {flags}", "and ebp, 0xcd5"]
            lines += ["pinsrw xmm7, ebp, 3", "paddd xmm6, xmm7"]
    return assemble(arch, "\n".join([*lines, "jmp loop"]))


@pytest.mark.parametrize("arch", [Arch.X86, Arch.X64])
@pytest.mark.parametrize("part", range(10))
def test_an_instruction_begun_again(arch: Arch, part: int) -> None:
    code = _code(arch, ACCESSES[part::10])
    system = System(arch, [Partition(code)], [(0, 3000)])
    with target(system, 1) as watched, target(system, 1) as straight:
        pages = RAM + 0x2FFF, RAM + 0xF000  # the stack's, too
        watched.set_watches(0, tuple(Watch(page, 1, Access.ANY) for page in pages))
        assert watched.go().cause is Cause.END
        straight.go()
        assert straight.view(0).faults == 0
        assert watched.state_hash() == straight.state_hash()
