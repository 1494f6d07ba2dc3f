/* Entry of a partition on ARMv7 (A32). SPDX-License-Identifier: MIT */
    .syntax unified
    .arm
    .section .text.start, "ax", %progbits

/* What debuggers go back through a hypercall with; it takes no memory. */
    .cfi_sections .debug_frame

/* r0 = start information, sp = end of the stack. */
    .global _start
    .type _start, %function
_start:
    .cfi_startproc
    .cfi_undefined lr
    mov     fp, #0
    mov     lr, #0
    b       khs_begin
    .cfi_endproc
    .size _start, . - _start

/* uint32_t khs_hypercall(struct khs_hypercall *block) */
    .balign 64, 0xcc
    .global khs_hypercall
    .type khs_hypercall, %function
khs_hypercall:
    .cfi_startproc
    push    {r4, r5, r6, r7, r8, lr}
    .cfi_def_cfa_offset 24
    .cfi_offset r4, -24
    .cfi_offset r5, -20
    .cfi_offset r6, -16
    .cfi_offset r7, -12
    .cfi_offset r8, -8
    .cfi_offset lr, -4
    mov     r8, r0
    ldr     r7, [r8]
    ldr     r0, [r8, #8]
    ldr     r1, [r8, #16]
    ldr     r2, [r8, #24]
    ldr     r3, [r8, #32]
    ldr     r4, [r8, #40]
    ldr     r5, [r8, #48]
    svc     #0
    str     r0, [r8, #56]
    str     r1, [r8, #60]
    pop     {r4, r5, r6, r7, r8, pc}
    .cfi_endproc
    .size khs_hypercall, . - khs_hypercall

/* What link.ld puts behind the code. */
    .global khs_trap_word
    .set khs_trap_word, 0xe7f000f0 /* udf #0 */

/* No executable stack. */
    .section .note.GNU-stack, "", %progbits
