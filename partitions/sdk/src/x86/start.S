/* Entry of a partition on x86. SPDX-License-Identifier: MIT */
    .section .text.start, "ax", @progbits

/* 4(%esp) = start information, esp as after a call with return address 0. */
    .global _start
    .type _start, @function
_start:
    xorl    %ebp, %ebp
    jmp     khs_begin
    .size _start, . - _start

/* uint32_t khs_hypercall(struct khs_hypercall *block); ebp is the sixth argument, so the
 * block waits on the stack. */
    .balign 64, 0xcc
    .global khs_hypercall
    .type khs_hypercall, @function
khs_hypercall:
    pushl   %ebx
    pushl   %esi
    pushl   %edi
    pushl   %ebp
    movl    20(%esp), %eax
    pushl   %eax
    movl    8(%eax), %ebx
    movl    16(%eax), %ecx
    movl    24(%eax), %edx
    movl    32(%eax), %esi
    movl    40(%eax), %edi
    movl    48(%eax), %ebp
    movl    (%eax), %eax
    int     $0x80
    popl    %ecx
    movl    %eax, 56(%ecx)
    movl    %edx, 60(%ecx)
    popl    %ebp
    popl    %edi
    popl    %esi
    popl    %ebx
    retl
    .size khs_hypercall, . - khs_hypercall

/* What link.ld puts behind the code. */
    .global khs_trap_word
    .set khs_trap_word, 0xcccccccc /* int3 */

/* No executable stack. */
    .section .note.GNU-stack, "", @progbits
