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

#define CPU_ARCH KHS_X64

#endif
