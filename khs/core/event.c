#include "ring.h"

KHS_LANDMARK void khs_emit(khs_core *core, uint32_t partition, const khs_record *record)
{
    khs_append(core, partition, record);
}

size_t khs_events(const khs_core *core, const uint8_t **records)
{
    *records = core->ring;
    return core->ring_used;
}

void khs_drained(khs_core *core)
{
    core->ring_used = 0;
}
