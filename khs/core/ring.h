/* The event ring: a linear buffer that the host drains whole. khs_next refuses to go on while less
 * than `ring_reserve` is free, so an append can never fail. Inline for the records that every call and
 * every granted message leaves; others go through khs_emit, where debuggers wait for them. */
#ifndef KHS_RING_H
#define KHS_RING_H

#include "internal.h"

__attribute__((always_inline)) static inline void khs_append(khs_core *core, uint32_t partition, const khs_record *record)
{
    uint32_t bytes = record->size + record->info_size, words = (bytes + 7u) / 8u;
    uint32_t size = (uint32_t)sizeof(khs_event) + (record->args + words) * 8u;
    if (size > core->ring_size - core->ring_used)
        return; /* unreachable: see khs_ring_size */
    khs_event *event = (khs_event *)(core->ring + core->ring_used);
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
        .data = bytes,
    };
    uint64_t *at = (uint64_t *)(event + 1);
    khs_copy(at, record->arg, record->args * sizeof *at);
    at += record->args;
    if (words) {
        at[words - 1] = 0; /* the padding */
        khs_copy(at, record->data, record->size);
        khs_copy((uint8_t *)at + record->size, record->info, record->info_size);
    }
    core->ring_used += size;
}

#endif
