/* The functions that the core asks of its host, over plain memory. */
#include "host.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

void *allocate(size_t size)
{
    void *block = aligned_alloc(16, (size + 16u) & ~(size_t)15u);
    if (!block)
        die("no memory for %zu bytes", size);
    return memset(block, 0, size);
}

static const khs_cfg_region *regions_of(const fake_host *host)
{
    return (const void *)((const uint8_t *)host->config + host->config->regions.offset);
}

/* Is the system small enough to be run here? */
bool host_fits(const fake_host *host, uint64_t most)
{
    uint64_t total = khs_state_size(host->config) + khs_ring_size(host->config);
    for (uint32_t i = 0; i < host->config->regions.count; i++) {
        const khs_cfg_region *region = &regions_of(host)[i];
        if (region->size > most || (total += region->size) > most)
            return false;
    }
    return true;
}

static void lay_memory(fake_host *host)
{
    uint32_t count = host->config->regions.count;
    host->memory_size = 0;
    for (uint32_t i = 0; i < count; i++)
        host->memory_size += regions_of(host)[i].size;
    host->memory = allocate(host->memory_size);
    host->regions = allocate(count * sizeof *host->regions);
    uint8_t *at = host->memory;
    for (uint32_t i = 0; i < count; i++) {
        host->regions[i] = at;
        at += regions_of(host)[i].size;
    }
}

static void load_region(fake_host *host, uint32_t index)
{
    const khs_cfg_region *region = &regions_of(host)[index];
    memset(host->regions[index], 0, region->size);
    if (region->file_offset <= host->image_size && region->file_size <= host->image_size - region->file_offset &&
        region->file_size)
        memcpy(host->regions[index], host->image + region->file_offset, region->file_size);
}

khs_status host_boot(fake_host *host, size_t ring_size)
{
    host->core = allocate(khs_core_size());
    host->state_size = khs_state_size(host->config);
    host->state = allocate(host->state_size);
    host->ring_size = ring_size;
    host->ring = allocate(ring_size);
    host->cpus = allocate(host->config->partitions.count * sizeof *host->cpus);
    lay_memory(host);
    for (uint32_t i = 0; i < host->config->regions.count; i++)
        load_region(host, i);
    return khs_boot(host->core, host->config, host->state, host->ring, ring_size, host);
}

void host_free(fake_host *host)
{
    free(host->core);
    free(host->state);
    free(host->ring);
    free(host->cpus);
    free(host->memory);
    free(host->regions);
}

/* ------------------------------------------------------------ asked by the core */

bool khs_port_input(void *port, uint64_t index, khs_input *input)
{
    fake_host *host = port;
    if (index >= host->announced)
        return false;
    *input = host->inputs[index];
    return true;
}

uint8_t *khs_port_region(void *port, uint32_t region)
{
    return ((fake_host *)port)->regions[region];
}

const void *khs_port_policy(void *port, uint32_t index, size_t *size)
{
    fake_host *host = port;
    if (index >= host->policy_count)
        return NULL;
    *size = host->policy_sizes[index];
    return host->policies[index];
}

uint32_t khs_port_policy_at(void *port, uint64_t frame)
{
    const fake_host *host = port;
    for (uint64_t i = 0; i < host->swap_count; i++)
        if (host->swaps[i].tick == frame)
            return host->swaps[i].target;
    return KHS_NONE;
}

static uint32_t section_of_start(const fake_host *host, uint32_t partition, uint32_t start)
{
    uint32_t found = KHS_NONE;
    for (uint32_t i = 0; i < host->section_count; i++) {
        const section *s = &host->sections[i];
        if (s->partition == partition && s->start && s->start <= start &&
            (found == KHS_NONE || s->start > host->sections[found].start))
            found = i;
    }
    return found;
}

void khs_port_start(void *port, uint32_t partition, bool warm)
{
    fake_host *host = port;
    cpu *c = &host->cpus[partition];
    khs_slice maps = host->core->cfg_partitions[partition].maps;
    for (uint32_t i = 0; i < maps.count; i++) {
        uint32_t region = host->core->cfg_maps[maps.first + i].region, flags = regions_of(host)[region].flags;
        if (!(flags & KHS_REGION_SHARED) && !(warm && (flags & KHS_REGION_KEEP)))
            load_region(host, region);
    }
    uint32_t starts = c->starts + 1;
    *c = (cpu){.starts = starts, .now.section = section_of_start(host, partition, starts)};
    c->random = host->random ? host->seeds[partition] + 0x9e3779b97f4a7c15u * starts : 0;
}

void khs_port_arguments(void *port, uint32_t partition, uint32_t count, uint64_t *arguments)
{
    memcpy(arguments, ((fake_host *)port)->cpus[partition].arguments, count * sizeof *arguments);
}

void khs_port_result(void *port, uint32_t partition, uint32_t code, uint32_t value)
{
    cpu *c = &((fake_host *)port)->cpus[partition];
    c->now.code = code;
    c->now.value = value;
}

void khs_port_interrupt(void *port, uint32_t partition, uint64_t handler, uint32_t irq)
{
    fake_host *host = port;
    cpu *c = &host->cpus[partition];
    c->saved = c->now;
    c->handling = 1;
    c->now = (cpu_context){.section = KHS_NONE, .value = irq};
    for (uint32_t i = 0; i < host->section_count; i++)
        if (host->sections[i].partition == partition && !host->sections[i].start &&
            host->sections[i].handler == handler)
            c->now.section = i;
}

void khs_port_interrupt_return(void *port, uint32_t partition)
{
    cpu *c = &((fake_host *)port)->cpus[partition];
    c->now = c->saved;
    c->handling = 0;
}
