#include "../core/internal.h"
#include "kernel.h"

bool khs_kernel_raise(khs_core *core, uint32_t partition, uint32_t irq)
{
    if (core->partitions[partition].mode == KHS_MODE_IDLE)
        return false;
    khs_interrupt_raise(core, partition, irq);
    return true;
}
