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

    @ What a boot loader has left in the caches goes to memory, from the nearest one outwards.
    mov     r0, #0
    mcr     p15, 2, r0, c0, c0, 0       @ CSSELR: the data cache
    isb
    mrc     p15, 1, r1, c0, c0, 0       @ CCSIDR
    ubfx    r2, r1, #3, #10             @ ways - 1
    ubfx    r3, r1, #13, #15            @ sets - 1
    and     r4, r1, #7
    add     r4, r4, #4                  @ log2 of the bytes in a line
    clz     r5, r2                      @ the way is in the uppermost bits
0:  mov     r6, r2
1:  lsl     r7, r6, r5
    orr     r7, r7, r3, lsl r4
    mcr     p15, 0, r7, c7, c14, 2      @ DCCISW
    subs    r6, r6, #1
    bpl     1b
    subs    r3, r3, #1
    bpl     0b
    dsb
    mov     r1, #0x00a00000             @ what belongs to the Cortex-A9
    add     r1, r1, #0x2000             @ L2C-310: clean and invalidate all ways, then off
    ldr     r2, [r1, #0x100]
    tst     r2, #1
    beq     4f
    mov     r2, #0xff00
    orr     r2, r2, #0xff
    str     r2, [r1, #0x7fc]
2:  ldr     r2, [r1, #0x7fc]
    cmp     r2, #0
    bne     2b
    str     r0, [r1, #0x730]
3:  ldr     r2, [r1, #0x730]
    tst     r2, #1
    bne     3b
    str     r0, [r1, #0x100]
    dsb
4:  mcr     p15, 0, r0, c7, c5, 0       @ ICIALLU
    mcr     p15, 0, r0, c7, c5, 6       @ BPIALL
    mcr     p15, 0, r0, c8, c7, 0       @ TLBIALL
    sub     r1, r1, #0x2000             @ the snoop control unit on, and SMP in ACTLR: only
    ldr     r2, [r1]                    @ then shareable memory is cached
    orr     r2, r2, #1
    str     r2, [r1]
    mrc     p15, 0, r2, c1, c0, 1
    orr     r2, r2, #0x40
    mcr     p15, 0, r2, c1, c0, 1
    dsb
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
