/* x86: what of a guest's CPU is kept while it does not run. pc/trap.S knows the order: the
 * CPU itself pushes from `error` or `ip` on, the stub the rest. */
#ifndef FIRMWARE_CPU_H
#define FIRMWARE_CPU_H

#include <stdint.h>

#include "../pc/vector.h"

typedef struct cpu_context {
    uint32_t es, ds; /* fs and gs are in cpu_vector */
    uint32_t edi, esi, ebp, esp_of_pushad, ebx, edx, ecx, eax;
    uint32_t vector, error;
    uint32_t ip, cs, flags, sp, ss;
    uint32_t pad[3];
} __attribute__((aligned(16))) cpu_context;

static inline uint32_t cpu_number(const cpu_context *context) { return context->eax; }

static inline void cpu_arguments(const cpu_context *context, uint64_t *arguments)
{
    arguments[0] = context->ebx;
    arguments[1] = context->ecx;
    arguments[2] = context->edx;
    arguments[3] = context->esi;
    arguments[4] = context->edi;
    arguments[5] = context->ebp;
}

static inline void cpu_result(cpu_context *context, uint32_t code, uint32_t value)
{
    context->eax = code;
    context->edx = value;
}

#define CPU_ARCH KHS_X86

#endif
