/* Entry of a partition on x86. SPDX-License-Identifier: MIT */
    .section .text.start, "ax", @progbits

/* What debuggers go back through a hypercall with; it takes no memory. */
    .cfi_sections .debug_frame

/* 4(%esp) = start information, esp as after a call with return address 0. */
    .global _start
    .type _start, @function
_start:
    .cfi_startproc
    .cfi_undefined %eip
    xorl    %ebp, %ebp
    jmp     khs_begin
    .cfi_endproc
    .size _start, . - _start

/* uint32_t khs_hypercall(struct khs_hypercall *block); ebp is the sixth argument, so the
 * block waits on the stack. */
    .balign 64, 0xcc
    .global khs_hypercall
    .type khs_hypercall, @function
khs_hypercall:
    .cfi_startproc
    pushl   %ebx
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebx, 0
    pushl   %esi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %esi, 0
    pushl   %edi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %edi, 0
    pushl   %ebp
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebp, 0
    movl    20(%esp), %eax
    pushl   %eax
    .cfi_adjust_cfa_offset 4
    movl    8(%eax), %ebx
    movl    16(%eax), %ecx
    movl    24(%eax), %edx
    movl    32(%eax), %esi
    movl    40(%eax), %edi
    movl    48(%eax), %ebp
    movl    (%eax), %eax
    int     $0x80
    popl    %ecx
    .cfi_adjust_cfa_offset -4
    movl    %eax, 56(%ecx)
    movl    %edx, 60(%ecx)
    popl    %ebp
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebp
    popl    %edi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %edi
    popl    %esi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %esi
    popl    %ebx
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebx
    retl
    .cfi_endproc
    .size khs_hypercall, . - khs_hypercall

/* What link.ld puts behind the code. */
    .global khs_trap_word
    .set khs_trap_word, 0xcccccccc /* int3 */

/* No executable stack. */
    .section .note.GNU-stack, "", @progbits
