/* x64: what of a guest's CPU is kept while it does not run. pc/trap.S knows the order: the
 * CPU itself pushes from `error` or `rip` on, the stub the rest. */
#ifndef FIRMWARE_CPU_H
#define FIRMWARE_CPU_H

#include <stdint.h>

typedef struct cpu_context {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t ip, cs, flags, sp, ss;
} __attribute__((aligned(16))) cpu_context;

/* FXSAVE area, which leaves its end to software: ds, es, fs and gs */
typedef struct cpu_vector {
    uint16_t fcw;
    uint8_t legacy[22];
    uint32_t mxcsr;
    uint8_t rest[436];
    uint16_t segments[4];
    uint8_t unused[40];
} __attribute__((aligned(16))) cpu_vector;
_Static_assert(sizeof(cpu_vector) == 512, "layout");

#define CPU_ARCH KHS_X64
#define CPU_VECTOR_START {.fcw = 0x37f, .mxcsr = 0x1f80}

#endif
