/* Entry of a partition on x64. SPDX-License-Identifier: MIT */
    .section .text.start, "ax", @progbits

/* rdi = start information, rsp as after a call with return address 0. */
    .global _start
    .type _start, @function
_start:
    xorl    %ebp, %ebp
    jmp     khs_begin
    .size _start, . - _start

/* uint32_t khs_hypercall(struct khs_hypercall *block) */
    .balign 64, 0xcc
    .global khs_hypercall
    .type khs_hypercall, @function
khs_hypercall:
    pushq   %rbx
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
    retq
    .size khs_hypercall, . - khs_hypercall

/* What link.ld puts behind the code. */
    .global khs_trap_word
    .set khs_trap_word, 0xcccccccc /* int3 */

/* No executable stack. */
    .section .note.GNU-stack, "", @progbits
