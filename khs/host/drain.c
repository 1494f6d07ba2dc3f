/* Taking events out of the ring, sorted for hashing. */
#include <stdlib.h>
#include <string.h>

#include "../core/hypercall.h"
#include "internal.h"

static bool is_part(const khs_host *host, const khs_event *event)
{
    return (event->flags & KHS_VISIBLE) && event->partition < host->config->partitions.count;
}

static bool make_room(khs_host *host, uint64_t size)
{
    if (size <= host->parts_room)
        return true;
    uint8_t *parts = realloc(host->parts, size);
    if (parts == NULL)
        return false;
    host->parts = parts;
    host->parts_room = size;
    return true;
}

static void count(const khs_event *event, khs_host_events *events)
{
    if (event->type == KHS_EV_VERDICT && event->value != 0)
        events->granted++;
    else if (event->type == KHS_EV_VERDICT)
        events->denied++;
    else if (event->type == KHS_EV_STOP)
        events->stop_cause = event->code;
    else if (event->type == KHS_EV_POLICY)
        events->swaps++;
}

/* Answers to hypercalls that a sound program does not make. */
static bool is_refusal(uint32_t code)
{
    return code == KHS_CODE_INVALID_CONFIG || code == KHS_CODE_BAD_POINTER || code == KHS_CODE_NO_CALL ||
           code == KHS_CODE_WOULD_DEADLOCK || code == KHS_CODE_UNKNOWN;
}

static bool is_notable(const khs_event *event)
{
    switch (event->type) {
    case KHS_EV_VERDICT: return event->value == 0;
    case KHS_EV_HYPERCALL: return is_refusal(event->code);
    case KHS_EV_FAULT:
    case KHS_EV_HEALTH:
    case KHS_EV_POLICY:
    case KHS_EV_STOP:
    case KHS_EV_CONSOLE: return true;
    default: return false;
    }
}

/* First the room each partition needs, then the parts in place: a counting sort. False if
 * these are no whole records: what came through a pipe is not trusted to be that. */
static bool measure(khs_host *host, khs_host_events *events)
{
    uint64_t *at = host->parts_at, done = 0;
    uint32_t partitions = host->config->partitions.count;
    memset(at, 0, (partitions + 2u) * sizeof *at);
    while (events->size - done >= sizeof(khs_event)) {
        const khs_event *event = (const void *)(events->records + done);
        if (event->size < sizeof(khs_event) || event->size % 8u || event->size > events->size - done)
            return false;
        if (is_part(host, event))
            at[event->partition + 2u] += event->size - KHS_EVENT_MODULE_BYTES;
        if (is_notable(event))
            events->notable_size += event->size;
        count(event, events);
        events->count++;
        done += event->size;
    }
    for (uint32_t i = 2; i < partitions + 2u; i++)
        at[i] += at[i - 1];
    return done == events->size;
}

/* at[p + 1] moves from the beginning of p's parts to their end, which is p + 1's beginning. */
static void sort(khs_host *host, const khs_host_events *events)
{
    uint8_t *notable = host->parts + events->size;
    for (const uint8_t *r = events->records; r < events->records + events->size;) {
        const khs_event *event = (const void *)r;
        uint32_t size = event->size - KHS_EVENT_MODULE_BYTES;
        if (is_part(host, event)) {
            memcpy(host->parts + host->parts_at[event->partition + 1u], r + KHS_EVENT_MODULE_BYTES, size);
            host->parts_at[event->partition + 1u] += size;
        }
        if (is_notable(event)) {
            memcpy(notable, r, event->size);
            notable += event->size;
        }
        r += event->size;
    }
}

bool khs_host_split(khs_host *host, const void *records, uint64_t size, khs_host_events *events)
{
    *events = (khs_host_events){.records = records, .size = size, .at = host->parts_at};
    if ((uintptr_t)records % 8u || !measure(host, events) || !make_room(host, size + events->notable_size))
        return false;
    sort(host, events);
    events->parts = host->parts;
    events->notable = host->parts + size;
    return true;
}

bool khs_host_drain(khs_host *host, khs_host_events *events)
{
    const uint8_t *records = NULL;
    if (!host->booted)
        return false;
    if (host->taken)
        khs_drained(host->core);
    uint64_t size = khs_events(host->core, &records);
    host->taken = size > 0 && khs_host_split(host, records, size, events);
    return host->taken;
}
