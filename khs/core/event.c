/* The event ring: a linear buffer that the host drains whole. khs_next refuses to go
 * on while less than `ring_reserve` is free, so an append can never fail. */
#include "internal.h"

void khs_emit(khs_core *core, uint32_t partition, const khs_record *record)
{
    uint32_t body = (uint32_t)sizeof(khs_event) + record->args * 8u + record->size;
    uint32_t size = (body + 7u) & ~7u;
    if (core->ring_used + size > core->ring_size)
        return; /* unreachable: see khs_ring_size */
    uint8_t *at = core->ring + core->ring_used;
    khs_event *event = (khs_event *)at;
    *event = (khs_event){
        .tick = core->state->now,
        .size = size,
        .partition = (uint16_t)(partition == KHS_NONE ? KHS_MODULE : partition),
        .flags = record->flags,
        .local = partition == KHS_NONE ? 0 : core->partitions[partition].ticks,
        .type = record->type,
        .number = record->number,
        .code = record->code,
        .value = record->value,
        .args = record->args,
        .data = record->size,
    };
    khs_copy(at + sizeof(khs_event), record->arg, record->args * 8u);
    khs_copy(at + sizeof(khs_event) + record->args * 8u, record->data, record->size);
    khs_zero(at + body, size - body);
    core->ring_used += size;
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
