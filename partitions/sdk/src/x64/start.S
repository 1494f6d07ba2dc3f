/* Entry of a partition on x64. SPDX-License-Identifier: MIT */
    .section .text.start, "ax", @progbits

/* What debuggers go back through a hypercall with; it takes no memory. */
    .cfi_sections .debug_frame

/* rdi = start information, rsp as after a call with return address 0. */
    .global _start
    .type _start, @function
_start:
    .cfi_startproc
    .cfi_undefined %rip
    xorl    %ebp, %ebp
    jmp     khs_begin
    .cfi_endproc
    .size _start, . - _start

/* uint32_t khs_hypercall(struct khs_hypercall *block) */
    .balign 64, 0xcc
    .global khs_hypercall
    .type khs_hypercall, @function
khs_hypercall:
    .cfi_startproc
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    movq    %rdi, %rbx
    movq    (%rbx), %rax
    movq    8(%rbx), %rdi
    movq    16(%rbx), %rsi
    movq    24(%rbx), %rdx
    movq    32(%rbx), %r10
    movq    40(%rbx), %r8
    movq    48(%rbx), %r9
    syscall
    movl    %eax, 56(%rbx)
    movl    %edx, 60(%rbx)
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    retq
    .cfi_endproc
    .size khs_hypercall, . - khs_hypercall

/* What link.ld puts behind the code. */
    .global khs_trap_word
    .set khs_trap_word, 0xcccccccc /* int3 */

/* No executable stack. */
    .section .note.GNU-stack, "", @progbits
