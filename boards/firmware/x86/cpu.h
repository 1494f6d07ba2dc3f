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

#define CPU_ARCH KHS_X86

#endif
