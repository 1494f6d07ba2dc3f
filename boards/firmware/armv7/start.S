/* Start-up on ARMv7-A, in supervisor mode with the MMU off, from QEMU or from U-Boot. */
    .syntax unified
    .arch armv7-a
    .fpu neon
    .section .boot, "ax"
    .global _start
_start:
    cpsid   if, #0x13                   @ supervisor mode, interrupts masked
    mrc     p15, 0, r0, c1, c0, 0       @ SCTLR: MMU, caches and branch prediction off
    bic     r0, r0, #0x1000
    bic     r0, r0, #0x0005
    bic     r0, r0, #0x2800             @ low vectors by VBAR
    mcr     p15, 0, r0, c1, c0, 0
    isb
    ldr     sp, =firmware_stack_end
    ldr     r0, =firmware_bss           @ both ends are multiples of 16
    ldr     r1, =firmware_bss_end
    mov     r2, #0
0:  cmp     r0, r1
    strlo   r2, [r0], #4
    blo     0b
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0      @ VBAR
    mrc     p15, 0, r0, c1, c0, 2       @ CPACR: the guests' VFP and NEON
    orr     r0, r0, #0x00f00000
    mcr     p15, 0, r0, c1, c0, 2
    isb
    mov     r0, #0x40000000             @ FPEXC.EN
    vmsr    fpexc, r0
    bl      mmu_open
    bl      firmware_main
1:  b       1b
