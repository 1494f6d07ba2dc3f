/* The smallest program for a PC, entered by PVH: a byte on COM2, the console. */
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .long   _start

    .section .boot, "ax"
    .code32
    .global _start
_start:
    mov     $0x2f8, %edx
    mov     $'x', %al
    out     %al, %dx
1:  hlt
    jmp     1b
