/* Writes from outside into memory regions: inputs of the run, made at their tick once everything of
 * the kernel that is due then is done, and before any guest runs on. So it does not matter when they
 * became known: a run that knew them from the start is the same. */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define OFFSET_BYTES 8u

/* Code caches do not see such writes: code never changes. A region that guests only read is mapped
 * that way, until the first input to it. */
static khs_region_memory *opened(khs_host *host, uint32_t region)
{
    khs_region_memory *r = region < host->memory.count ? &host->memory.regions[region] : NULL;
    if (r == NULL || r->executable)
        return NULL;
    if (!r->writable && mprotect(r->base, r->size, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    r->writable = true;
    return r;
}

static uint64_t offset_of(const uint8_t *data)
{
    uint64_t offset = 0;
    for (uint32_t i = 0; i < OFFSET_BYTES; i++)
        offset |= (uint64_t)data[i] << 8 * i;
    return offset;
}

static bool is_within(const khs_region_memory *r, uint64_t offset, uint64_t size)
{
    return offset <= r->size && size <= r->size - offset;
}

bool khs_region_accepts(khs_host *host, const khs_input *input)
{
    if (!(input->target & KHS_HOST_REGION) || input->size < OFFSET_BYTES)
        return false;
    const khs_region_memory *r = opened(host, input->target & ~KHS_HOST_REGION);
    return r != NULL && is_within(r, offset_of(input->data), input->size - OFFSET_BYTES);
}

uint64_t khs_region_next(khs_host *host)
{
    while (host->written < host->input_count && !(host->inputs[host->written].target & KHS_HOST_REGION))
        host->written++;
    return host->written < host->input_count ? host->inputs[host->written].tick : UINT64_MAX;
}

void khs_region_write(khs_host *host)
{
    for (; khs_region_next(host) <= khs_now(host->core); host->written++) {
        const khs_input *input = &host->inputs[host->written];
        uint8_t *base = host->memory.regions[input->target & ~KHS_HOST_REGION].base;
        memcpy(base + offset_of(input->data), input->data + OFFSET_BYTES, input->size - OFFSET_BYTES);
    }
}

uint32_t khs_host_region_target(khs_host *host, uint32_t region)
{
    return opened(host, region) != NULL ? KHS_HOST_REGION | region : KHS_NONE;
}

bool khs_host_region_read(const khs_host *host, uint32_t region, uint64_t offset, void *buffer, uint64_t size)
{
    if (region >= host->memory.count || !is_within(&host->memory.regions[region], offset, size))
        return false;
    memcpy(buffer, host->memory.regions[region].base + offset, size);
    return true;
}
