@ The smallest program for a SABRE Lite: a byte on UART2, the console. i.MX 6Dual/6Quad Applications
@ Processor Reference Manual, chapter 64.
    .section .boot, "ax"
    .global _start
_start:
    ldr     r0, =0x021e8000
    mov     r1, #1
    str     r1, [r0, #0x80]             @ UCR1: enabled
    ldr     r1, =0x4025
    str     r1, [r0, #0x84]             @ UCR2: transmitter on
    mov     r1, #'x'
    str     r1, [r0, #0x40]             @ UTXD
1:  b       1b
