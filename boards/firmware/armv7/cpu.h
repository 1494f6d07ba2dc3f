/* ARMv7-A: what of a guest's CPU is kept while it does not run. trap.S knows the offsets. */
#ifndef FIRMWARE_CPU_H
#define FIRMWARE_CPU_H

#include <stdint.h>

typedef struct cpu_context {
    uint32_t r[15];
    uint32_t pc;
    uint32_t cpsr;
    uint32_t pad;
} cpu_context;

typedef struct cpu_vector {
    uint64_t d[32];
    uint32_t fpscr;
    uint32_t thread; /* TPIDRURW, which user mode may write */
} cpu_vector;

#define CPU_ARCH KHS_ARMV7
#define CPU_VECTOR_START {0}

#endif
