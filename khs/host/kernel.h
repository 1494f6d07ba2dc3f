/* What devices need of the kernel beyond core.h; as the boards' firmware has it. */
#ifndef KHS_HOST_KERNEL_H
#define KHS_HOST_KERNEL_H

#include "../core/core.h"

/* Makes a virtual interrupt pending, now; nothing for a partition that is idle. False for that. */
bool khs_kernel_raise(khs_core *core, uint32_t partition, uint32_t irq);

#endif
