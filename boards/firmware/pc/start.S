/* Start-up on a PC: entered by PVH (Xen, docs/misc/pvh.pandoc) in 32-bit mode, paging off.
 * Builds the kernel's page tables, the first gigabyte one to one in 2 MiB pages, and goes
 * to C: on x86 with PAE, on x64 in long mode. */
#include "pc.h"

#define CR0_PE_MP_NE_WP_PG 0x80010023
#define CR4_PAE_SSE 0x00000624 /* PAE, TSD, OSFXSR, OSXMMEXCPT */
#define EFER 0xc0000080
#define EFER_NXE 0x800
#define EFER_LME 0x100

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .long   _start

    .section .boot, "ax"
    .code32
    .global _start
_start:
    cli
    cld
    mov     $firmware_stack_end, %esp
    mov     $firmware_bss, %edi
    mov     $firmware_bss_end, %ecx
    sub     %edi, %ecx
    xor     %eax, %eax
    rep stosb
    call    kernel_tables
    mov     $CR4_PAE_SSE, %eax
    mov     %eax, %cr4
    mov     $kernel_root, %eax
    mov     %eax, %cr3
    mov     $EFER, %ecx
    rdmsr
#ifdef __x86_64__
    or      $(EFER_NXE | EFER_LME), %eax
#else
    or      $EFER_NXE, %eax
#endif
    wrmsr
    mov     $CR0_PE_MP_NE_WP_PG, %eax
    mov     %eax, %cr0
    lgdt    boot_gdt_pointer
    ljmp    $KERNEL_CODE, $1f
#ifdef __x86_64__
    .code64
#endif
1:  mov     $KERNEL_DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    xor     %eax, %eax
    mov     %eax, %fs
    mov     %eax, %gs
#ifdef __x86_64__
    mov     $firmware_stack_end, %rsp
#endif
    call    firmware_main
2:  hlt
    jmp     2b

/* Code is read-only and everything else is not executed. The last 2 MiB show the local APIC. */
    .code32
kernel_tables:
    mov     $kernel_directory, %edi
    mov     $0x83, %eax                 /* present, writable, 2 MiB */
    mov     $512, %ecx
0:  mov     %eax, (%edi)
    movl    $0x80000000, 4(%edi)        /* not executed */
    add     $0x200000, %eax
    add     $8, %edi
    loop    0b
    mov     $kernel_directory, %edi
    movl    $0x200081, 8(%edi)          /* the code at 2 MiB */
    movl    $0, 12(%edi)
    movl    $0xfee0009b, 511 * 8(%edi)  /* uncached */
#ifdef __x86_64__
    movl    $kernel_directory + 3, kernel_pointers
    movl    $kernel_pointers + 3, kernel_root
#else
    movl    $kernel_directory + 1, kernel_root
#endif
    ret

    .section .rodata
    .balign 8
boot_gdt:                               /* marked as accessed: the CPU need not write here */
    .quad   0
#ifdef __x86_64__
    .quad   0x00af9b000000ffff
#else
    .quad   0x00cf9b000000ffff
#endif
    .quad   0x00cf93000000ffff
boot_gdt_pointer:
    .word   . - boot_gdt - 1
    .long   boot_gdt
    .long   0

    .bss
    .balign 4096
    .global kernel_directory
kernel_directory: .space 4096
    .global kernel_root
kernel_root: .space 4096
#ifdef __x86_64__
kernel_pointers: .space 4096
#endif
