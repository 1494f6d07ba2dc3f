/* x64: what of a guest's CPU is kept while it does not run. pc/trap.S knows the order: the
 * CPU itself pushes from `error` or `rip` on, the stub the rest. */
#ifndef FIRMWARE_CPU_H
#define FIRMWARE_CPU_H

#include <stdint.h>

#include "../pc/vector.h"

typedef struct cpu_context {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t ip, cs, flags, sp, ss;
} __attribute__((aligned(16))) cpu_context;

/* What is wider than a number is none. */
static inline uint32_t cpu_number(const cpu_context *context)
{
    return context->rax >> 32 ? UINT32_MAX : (uint32_t)context->rax;
}

static inline void cpu_arguments(const cpu_context *context, uint64_t *arguments)
{
    arguments[0] = context->rdi;
    arguments[1] = context->rsi;
    arguments[2] = context->rdx;
    arguments[3] = context->r10;
    arguments[4] = context->r8;
    arguments[5] = context->r9;
}

static inline void cpu_result(cpu_context *context, uint32_t code, uint32_t value)
{
    context->rax = code;
    context->rdx = value;
}

#define CPU_ARCH KHS_X64

#endif
