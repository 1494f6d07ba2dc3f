"""Virtual interrupts at arbitrary instructions leave no trace in what they interrupt."""

from __future__ import annotations

import pytest

from tests.host.assemble import assemble
from tests.host.conftest import Load
from tests.host.system import CODE, LOG, RAM, Arch, Partition, System
from tests.host.test_hostile import events

# The main loop counts in several registers, in a vector register and through the flags, and
# takes an undefined instruction if they ever disagree. The handler spoils all of them.
HANDLER = CODE + 0x100
HYPERCALL, FAULT, INTERRUPT = 4, 7, 9  # enum khs_event_type
GUESTS = {
    Arch.ARMV7: f"""
        movw r0, #{HANDLER & 0xFFFF}
        movt r0, #{HANDLER >> 16}
        mov r1, #0
        mov r7, #23
        svc #0
        mov r0, #1
        mov r1, #1
        mov r7, #22
        svc #0
        mov r0, #0
        mov r1, #0
        mov r2, #0
        mov r3, #0
        mov r12, #1
        vmov.i32 q0, #0
        vmov.i32 q1, #1
    loop:
        add r0, r0, #1
        add r1, r1, r12
        add r2, r2, #1
        adds r3, r3, #1
        vadd.i32 q0, q0, q1
        vmov r4, s0
        beq wrong
        cmp r0, r1
        cmpeq r0, r2
        cmpeq r0, r3
        cmpeq r0, r4
        beq loop
    wrong:
        udf #0
        .org 0x100
        cmp r0, #0
        bne wrong
        push {{r0-r12}}
        movw r1, #{RAM & 0xFFFF}
        movt r1, #{RAM >> 16}
        ldr r2, [r1]
        add r2, r2, #1
        str r2, [r1]
        mov r3, #77
        mov r4, #78
        mov r12, #79
        vmov.i32 q0, #0xff
        vmov.i32 q1, #0xff
        msr cpsr_f, #0xf0000000
        sub sp, sp, #3
        mov r7, #25
        svc #0
        udf #1
    """,
    Arch.X86: f"""
        mov ebx, {HANDLER}
        mov ecx, 0
        mov eax, 23
        int 0x80
        mov ebx, 1
        mov ecx, 1
        mov eax, 22
        int 0x80
        xor eax, eax
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        mov ebp, 1
        movd xmm1, ebp
        pxor xmm0, xmm0
    loop:
        add eax, ebp
        stc
        adc ebx, 0
        push eax
        inc ecx
        paddd xmm0, xmm1
        movd esi, xmm0
        pop edi
        inc edx
        cmp eax, ebx
        jne wrong
        cmp eax, ecx
        jne wrong
        cmp eax, edx
        jne wrong
        cmp eax, esi
        jne wrong
        cmp eax, edi
        je loop
    wrong:
        ud2
        .org 0x100
        cmp eax, 0
        jne wrong
        cmp dword ptr [esp + 4], 0
        jne wrong
        inc dword ptr [{RAM}]
        mov ecx, 77
        mov edx, 77
        mov esi, 77
        mov edi, 77
        mov ebp, 77
        pcmpeqd xmm0, xmm0
        pcmpeqd xmm1, xmm1
        push 1
        std
        mov eax, 25
        int 0x80
        ud2
    """,
    Arch.X64: f"""
        mov edi, {HANDLER}
        mov esi, 0
        mov eax, 23
        syscall
        mov edi, 1
        mov esi, 1
        mov eax, 22
        syscall
        xor eax, eax
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        mov r8d, 1
        movd xmm1, r8d
        pxor xmm0, xmm0
    loop:
        add rax, r8
        stc
        adc rbx, 0
        mov [rsp - 128], rax
        inc rcx
        paddd xmm0, xmm1
        movd esi, xmm0
        mov rdi, [rsp - 128]
        inc rdx
        cmp rax, rbx
        jne wrong
        cmp rax, rcx
        jne wrong
        cmp rax, rdx
        jne wrong
        cmp rax, rsi
        jne wrong
        cmp rax, rdi
        je loop
    wrong:
        ud2
        .org 0x100
        cmp edi, 0
        jne wrong
        test rsp, 7
        jne wrong
        mov rdi, {RAM}
        inc dword ptr [rdi]
        mov ecx, 77
        mov edx, 77
        mov esi, 77
        mov r8d, 77
        pcmpeqd xmm0, xmm0
        pcmpeqd xmm1, xmm1
        push 1
        std
        mov eax, 25
        syscall
        ud2
    """,
}


@pytest.mark.parametrize("window", [100_000, 61])
@pytest.mark.parametrize("arch", Arch)
def test_interrupted_everywhere(load: Load, arch: Arch, window: int) -> None:
    """The timer's period, 125 ticks, and the loop's length share no divisor for long."""
    code = assemble(arch, GUESTS[arch])
    rounds = 100_000 // window
    host = load(System(arch, [Partition(code, action=LOG)], [(0, window)]))
    host.run(frames=rounds)
    view = host.view(0)
    assert view.faults == 0
    delivered = int.from_bytes(host.read(0, RAM, 4), "little")
    assert delivered >= rounds * window // 125 - 2
    assert view.hypercalls >= 2 + delivered


@pytest.mark.parametrize("arch", Arch)
def test_returning_without_an_interrupt_does_nothing(load: Load, arch: Arch) -> None:
    source = {
        Arch.ARMV7: "mov r7, #25\n svc #0\n mov r6, r0\n1: b 1b",
        Arch.X86: "mov eax, 25\n int 0x80\n mov esi, eax\n1: jmp 1b",
        Arch.X64: "mov eax, 25\n syscall\n mov esi, eax\n1: jmp 1b",
    }
    host = load(System(arch, [Partition(assemble(arch, source[arch]))]))
    host.run(frames=1)
    kept = {Arch.ARMV7: 6, Arch.X86: 6, Arch.X64: 4}
    assert host.registers(0)[kept[arch]] == 5  # INVALID_MODE


@pytest.mark.parametrize("offset", [1, 2])
def test_arm_handlers_have_no_other_instruction_set(load: Load, offset: int) -> None:
    source = f"""
        movw r0, #{(CODE + offset) & 0xFFFF}
        movt r0, #{CODE >> 16}
        mov r1, #0
        mov r7, #23
        svc #0
        mov r0, #1
        mov r7, #22
        svc #0
    1:  b 1b
    """
    host = load(
        System(Arch.ARMV7, [Partition(assemble(Arch.ARMV7, source), action=LOG)], [(0, 1000)])
    )
    host.run(frames=1)
    assert host.view(0).faults == 1


def test_start_conventions(load: Load) -> None:
    """Argument, stack and flags at the entry point."""
    start = {}
    for arch, code in (
        (Arch.ARMV7, b"\xfe\xff\xff\xea"),
        (Arch.X86, b"\xeb\xfe"),
        (Arch.X64, b"\xeb\xfe"),
    ):
        host = load(System(arch, [Partition(code)]))
        host.run(frames=1)
        start[arch] = host.registers(0), host.read(0, RAM + 0x10000 - 24, 24)
    top, info = RAM + 0x10000, 0x4F000000
    registers, _ = start[Arch.ARMV7]
    assert registers == [info, *[0] * 12, top, 0, CODE, 0x10]
    registers, stack = start[Arch.X86]
    assert registers == [info, 0, 0, 0, top - 20, 0, 0, 0, CODE, 0x202]
    assert stack[4:12] == bytes(4) + info.to_bytes(4, "little")
    registers, stack = start[Arch.X64]
    assert registers == [0, 0, 0, 0, 0, info, 0, top - 8, *[0] * 8, CODE, 0x202]
    assert stack[16:] == bytes(8)


def test_syscall_leaves_its_return_address_and_flags(load: Load) -> None:
    code = assemble(Arch.X64, "stc\n mov eax, 0\n syscall\n1: jmp 1b")
    host = load(System(Arch.X64, [Partition(code)]))
    host.run(frames=1)
    registers = host.registers(0)
    assert registers[2] == CODE + 8
    assert registers[11] & 0x8D5 == 1


@pytest.mark.parametrize("bad", ["mov r4, #0x10000000\nbx r4", "mov r4, #0\nmov r5, #0\nudf #1"])
def test_the_handler_comes_before_a_fault_at_the_same_tick(bad: str, load: Load) -> None:
    """Also before one that the engine sees ahead: a jump to where nothing is mapped."""
    seen = []
    for nops in range(119, 127):  # a tick is 8 ns: the timer's microsecond is 125 of them
        source = f"""
            movw r0, #0x400
            movt r0, #{CODE >> 16}
            mov r1, #0
            mov r7, #23
            svc #0
            mov r0, #1
            mov r7, #22
            svc #0
            {chr(10).join(["mov r3, r3"] * nops)}
            {bad}
            .org 0x400
            mov r7, #0
            svc #0
            mov r7, #25
            svc #0
        """
        guest = Partition(assemble(Arch.ARMV7, source), action=LOG)
        host = load(System(Arch.ARMV7, [guest], [(0, 2000)]))
        host.run(frames=1)
        parts = [part for drained in host.drain() for _, part in drained.parts]
        seen.append([event.type for part in parts for event in events(part)])
    early, late = [HYPERCALL] * 2 + [FAULT], [*[HYPERCALL] * 2, INTERRUPT, *[HYPERCALL] * 2, FAULT]
    assert seen[0] == early and seen[-1] == late
    assert all(kinds in (early, late) for kinds in seen)
