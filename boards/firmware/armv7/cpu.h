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

static inline uint32_t cpu_number(const cpu_context *context) { return context->r[7]; }

static inline void cpu_arguments(const cpu_context *context, uint64_t *arguments)
{
    for (uint32_t i = 0; i < KHS_EVENT_ARGS_MAX; i++)
        arguments[i] = context->r[i];
}

static inline void cpu_result(cpu_context *context, uint32_t code, uint32_t value)
{
    context->r[0] = code;
    context->r[1] = value;
}

#define CPU_ARCH KHS_ARMV7
#define CPU_VECTOR_START {0}

#endif
