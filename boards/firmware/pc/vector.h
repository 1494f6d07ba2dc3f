/* What both x86 ports keep of a guest beside its context: the FXSAVE area, which leaves its end to
 * software: ds, es, fs and gs. */
#ifndef FIRMWARE_VECTOR_H
#define FIRMWARE_VECTOR_H

#include <stdint.h>

typedef struct cpu_vector {
    uint16_t fcw;
    uint8_t legacy[22];
    uint32_t mxcsr;
    uint8_t rest[436];
    uint16_t segments[4];
    uint8_t unused[40];
} __attribute__((aligned(16))) cpu_vector;
_Static_assert(sizeof(cpu_vector) == 512, "layout");

#define CPU_VECTOR_START {.fcw = 0x37f, .mxcsr = 0x1f80} /* as after fninit, exceptions masked */

#endif
