/* Numbers that C and assembler share. Read by the assembler too. */
#ifndef FIRMWARE_PC_H
#define FIRMWARE_PC_H

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TSS_SELECTOR 0x28

#define EXCEPTIONS 32
#define VECTOR_TIMER 32
#define VECTOR_PIC 40 /* and 15 more */
#define VECTOR_SPURIOUS 63 /* low bits set on old local APICs */
#define VECTORS 64
#define STUB_SIZE 16
#define VECTOR_HYPERCALL 0x80 /* x86: int 0x80; x64: reported for `syscall` */

#endif
