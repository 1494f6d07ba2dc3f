/* Into the guest and back. While a guest runs, the CPU's kernel stack pointer (TSS) is the
 * end of its context, so that a trap is pushed straight into it. cpu_enter returns like a
 * function when the guest traps. */
#include "pc.h"

    .section .text.trap, "ax"

#ifdef __x86_64__

/* uint64_t cpu_enter(cpu_context *context) -> vector */
    .global cpu_enter
cpu_enter:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, kernel_sp
    mov     %rdi, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdi
    pop     %rsi
    pop     %rbp
    pop     %rbx
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $16, %rsp                   /* vector, error */
    iretq

    .global syscall_entry
syscall_entry:
    mov     %rsp, user_sp
    mov     context_end, %rsp
    pushq   $USER_DATA
    pushq   user_sp
    push    %r11
    pushq   $USER_CODE
    push    %rcx
    pushq   $0
    pushq   $VECTOR_HYPERCALL
    /* falls through */
trapped:
    push    %rax
    push    %rcx
    push    %rdx
    push    %rbx
    push    %rbp
    push    %rsi
    push    %rdi
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    cld
    testb   $3, 18 * 8(%rsp)            /* cs */
    jz      kernel_trap
    mov     15 * 8(%rsp), %rax
    mov     kernel_sp, %rsp
    pushq   $2                          /* no flag of the guest's: AC would end SMAP */
    popfq
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret
kernel_trap:
    mov     15 * 8(%rsp), %rdi
    mov     17 * 8(%rsp), %rsi
    mov     $firmware_stack_end, %rsp
    call    kernel_trapped

#else

/* uint32_t cpu_enter(cpu_context *context) -> vector; parameters are in eax, edx and ecx */
    .global cpu_enter
cpu_enter:
    push    %ebx
    push    %ebp
    push    %esi
    push    %edi
    mov     %esp, kernel_sp
    mov     %eax, %esp
    pop     %es
    pop     %ds
    popa
    add     $8, %esp                    /* vector, error */
    iret

trapped:
    pusha
    push    %ds
    push    %es
    mov     $KERNEL_DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    cld
    testb   $3, 13 * 4(%esp)            /* cs */
    jz      kernel_trap
    mov     10 * 4(%esp), %eax
    mov     kernel_sp, %esp
    push    $2                          /* no flag of the guest's: AC would end SMAP */
    popf
    pop     %edi
    pop     %esi
    pop     %ebp
    pop     %ebx
    ret
kernel_trap:
    mov     10 * 4(%esp), %eax
    mov     12 * 4(%esp), %edx
    mov     $firmware_stack_end, %esp
    call    kernel_trapped

#endif

/* A stub of STUB_SIZE bytes for each vector; some exceptions bring an error code of their own. */
    .balign STUB_SIZE
    .global vector_stubs
vector_stubs:
    .set    number, 0
    .rept   VECTORS
    .balign STUB_SIZE
    .if !(number == 8 || (number >= 10 && number <= 14) || number == 17 || number == 21 || number == 29 || number == 30)
    push    $0
    .endif
    push    $number
    jmp     trapped
    .set    number, number + 1
    .endr

#ifndef __x86_64__
    .global hypercall_stub
hypercall_stub:
    push    $0
    push    $VECTOR_HYPERCALL
    jmp     trapped
#endif

    .bss
    .balign 8
kernel_sp: .space 8
    .global context_end
context_end: .space 8
user_sp: .space 8
