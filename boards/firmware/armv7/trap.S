/* Into the guest and back. The guest's context is behind TPIDRPRW while it runs; each
 * exception mode borrows its banked stack pointer for it. cpu_enter returns like a
 * function when the guest traps. */
#include "trap.h"

    .syntax unified
    .arch armv7-a
    .section .text.trap, "ax"

/* uint32_t cpu_enter(cpu_context *context) -> enum trap_vector */
    .global cpu_enter
cpu_enter:
    push    {r4-r11, lr}
    ldr     r1, =kernel_sp
    str     sp, [r1]
    mcr     p15, 0, r0, c13, c0, 4      @ TPIDRPRW
    mov     sp, r0
    ldr     lr, [sp, #60]
    ldr     r1, [sp, #64]
    msr     spsr_cxsf, r1
    clrex
    ldm     sp, {r0-r14}^
    nop
    movs    pc, lr

/* From the guest alone: the kernel itself never traps. */
    .macro vector number, correction
    mrc     p15, 0, sp, c13, c0, 4
    stm     sp, {r0-r14}^
    .if \correction
    sub     lr, lr, #\correction
    .endif
    str     lr, [sp, #60]
    mrs     r1, spsr
    str     r1, [sp, #64]
    mov     r0, #\number
    tst     r1, #0xf
    movne   r1, lr
    bne     kernel_trap
    cps     #0x13
    ldr     sp, =kernel_sp
    ldr     sp, [sp]
    pop     {r4-r11, pc}
    .endm

undefined:      vector VECTOR_UNDEFINED, 0
supervisor:     vector VECTOR_SUPERVISOR, 0
prefetch_abort: vector VECTOR_PREFETCH, 4
data_abort:     vector VECTOR_DATA, 8
interrupt:      vector VECTOR_INTERRUPT, 4
fast_interrupt: vector VECTOR_INTERRUPT, 4

kernel_trap:
    cps     #0x13
    ldr     sp, =firmware_stack_end
    bl      kernel_trapped
1:  b       1b

    .balign 32
    .global vectors
vectors:
    b       1b
    b       undefined
    b       supervisor
    b       prefetch_abort
    b       data_abort
    b       1b
    b       interrupt
    b       fast_interrupt

    .bss
    .balign 4
kernel_sp: .space 4
