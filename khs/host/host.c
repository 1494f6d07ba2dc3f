/* Life of a system: loading, inputs, booting. Running is in run.c. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define MIB (1024ull * 1024)
#define CACHE_DEFAULT (256 * MIB)
#define CACHE_LEAST (1 * MIB)
#define CACHE_MOST (32 * MIB)
#define RING_DEFAULT (MIB / 4)
#define ABANDONED_DEFAULT 64u

void khs_host_fail(khs_host_error *error, uint32_t failure, uint64_t where, const char *text)
{
    error->failure = failure;
    error->where = where;
    snprintf(error->text, sizeof error->text, "%s", text);
}

/* ------------------------------------------------------------ loading */

static void *copy(const void *data, uint64_t size)
{
    void *block = aligned_alloc(16, (size + 16u) & ~15ull);
    if (block != NULL && size > 0)
        memcpy(block, data, size);
    return block;
}

static bool load_config(khs_host *host, const khs_host_bytes *config, khs_host_error *error)
{
    static const khs_isa *const archs[] = {
        [KHS_ARMV7] = &khs_isa_armv7, [KHS_X86] = &khs_isa_x86, [KHS_X64] = &khs_isa_x64};
    size_t where = 0;
    host->config = copy(config->data, config->size);
    if (host->config == NULL) {
        khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
        return false;
    }
    if (khs_config_check(host->config, config->size, &where) != KHS_OK_STATUS) {
        khs_host_fail(error, KHS_HOST_CONFIG, where, "config.bin is inconsistent");
        return false;
    }
    const uint8_t *base = (const uint8_t *)host->config;
    host->arch = archs[host->config->arch];
    host->partitions = (const void *)(base + host->config->partitions.offset);
    host->maps = (const void *)(base + host->config->maps.offset);
    host->regions = (const void *)(base + host->config->regions.offset);
    return true;
}

static bool load_policies(khs_host *host, const khs_host_bytes *policies, uint32_t count, khs_host_error *error)
{
    host->policies = calloc(count + 1u, sizeof *host->policies);
    for (uint32_t i = 0; host->policies != NULL && i < count; i++) {
        host->policies[i] = (khs_policy_image){copy(policies[i].data, policies[i].size), policies[i].size};
        if (host->policies[i].data == NULL)
            break;
        host->policy_count++;
    }
    if (host->policy_count == count)
        return true;
    khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
    return false;
}

static bool find_exits(khs_host *host, bool unscanned, khs_host_error *error)
{
    uint32_t count = host->config->partitions.count;
    host->exits = calloc(count, sizeof *host->exits);
    if (host->exits == NULL) {
        khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
        return false;
    }
    if (unscanned || host->config->arch == KHS_ARMV7)
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (!khs_exits_find(host, i, &host->exits[i], error))
            return false;
    return true;
}

/* One budget for the code caches of all partitions. A twin only ever runs a few blocks. */
static void share_cache(khs_host *host, uint64_t bytes)
{
    uint64_t share = (bytes ? bytes : CACHE_DEFAULT) / host->config->partitions.count & ~(MIB - 1);
    if (share < CACHE_LEAST)
        share = CACHE_LEAST;
    if (share > CACHE_MOST)
        share = CACHE_MOST;
    host->cache_main = (uint32_t)share;
    host->cache_twin = (uint32_t)(share / 8 < CACHE_LEAST ? CACHE_LEAST : share / 8);
}

static bool allocate(khs_host *host, const khs_host_options *options, khs_host_error *error)
{
    uint32_t count = host->config->partitions.count;
    uint64_t ring = options->ring_bytes ? options->ring_bytes : RING_DEFAULT;
    uint64_t least = khs_ring_size(host->config);
    host->ring_size = (ring < least ? least : ring) & ~15ull;
    host->ring_size = host->ring_size < least ? host->ring_size + 16 : host->ring_size;
    host->cpus = calloc(count, sizeof(khs_cpu *));
    host->core = aligned_alloc(16, (khs_core_size() + 15u) & ~(size_t)15u);
    host->state = aligned_alloc(16, (khs_state_size(host->config) + 15u) & ~(size_t)15u);
    host->ring = aligned_alloc(16, host->ring_size);
    host->parts_at = calloc(count + 2u, sizeof *host->parts_at);
    if (host->cpus && host->core && host->state && host->ring && host->parts_at)
        return true;
    khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
    return false;
}

static bool load(khs_host *host, const khs_host_bytes *config, const khs_host_bytes *memory,
                 const khs_host_bytes *policies, uint32_t policy_count, const khs_host_options *options,
                 khs_host_error *error)
{
    if (!load_config(host, config, error) || !load_policies(host, policies, policy_count, error) ||
        !khs_memory_open(&host->memory, host->config, memory, error) ||
        !find_exits(host, options->flags & KHS_HOST_UNSCANNED, error))
        return false;
    share_cache(host, options->cache_bytes);
    host->abandoned_most = options->abandoned_most ? options->abandoned_most : ABANDONED_DEFAULT;
    if (!allocate(host, options, error))
        return false;
    if (khs_engine_prototype(host))
        return true;
    khs_host_fail(error, KHS_HOST_SYSTEM, 0, "Unicorn does not open this CPU");
    return false;
}

khs_host *khs_host_open(const khs_host_bytes *config, const khs_host_bytes *memory,
                        const khs_host_bytes *policies, uint32_t policy_count,
                        const khs_host_options *options, khs_host_error *error)
{
    static const khs_host_options defaults = {0};
    khs_host *host = calloc(1, sizeof *host);
    *error = (khs_host_error){.partition = KHS_NONE};
    if (host == NULL) {
        khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
        return NULL;
    }
    host->memory.golden = -1;
    if (load(host, config, memory, policies, policy_count, options ? options : &defaults, error))
        return host;
    khs_host_close(host);
    return NULL;
}

void khs_host_close(khs_host *host)
{
    if (host == NULL)
        return;
    for (uint32_t i = 0; host->cpus != NULL && i < host->config->partitions.count; i++)
        khs_cpu_close(host->cpus[i]);
    for (uint32_t i = 0; host->exits != NULL && i < host->config->partitions.count; i++)
        free(host->exits[i].at);
    khs_debug_close(host);
    khs_context_free(host->initial);
    khs_memory_close(&host->memory);
    for (uint32_t i = 0; i < host->policy_count; i++)
        free(host->policies[i].data);
    for (uint64_t i = 0; i < host->input_count; i++)
        free((void *)host->inputs[i].data);
    khs_devices_close(host);
    free(host->guard.stack);
    free(host->policies);
    free(host->inputs);
    free(host->swaps);
    free(host->exits);
    free(host->cpus);
    free(host->core);
    free(host->state);
    free(host->ring);
    free(host->parts);
    free(host->parts_at);
    free(host->config);
    free(host);
}

/* ------------------------------------------------------------ inputs */

static bool acceptable(khs_host *host, const khs_input *input)
{
    if (input->target >= host->config->inputs.count + host->device_count && !khs_region_accepts(host, input))
        return false;
    if (host->booted && input->tick < khs_now(host->core))
        return false;
    return host->input_count == 0 || host->inputs[host->input_count - 1].tick <= input->tick;
}

bool khs_host_input(khs_host *host, uint64_t tick, uint32_t target, const void *data, uint32_t size)
{
    khs_input input = {.tick = tick, .target = target, .size = size, .data = data};
    if (target & KHS_HOST_FAULT)
        return khs_device_add_fault(host, &input);
    if (!acceptable(host, &input))
        return false;
    if (host->input_count == host->input_room) {
        uint64_t room = host->input_room ? host->input_room * 2 : 64;
        khs_input *inputs = realloc(host->inputs, room * sizeof *inputs);
        if (inputs == NULL)
            return false;
        host->inputs = inputs;
        host->input_room = room;
    }
    input.data = copy(data, size);
    if (input.data == NULL)
        return false;
    host->inputs[host->input_count++] = input;
    if (host->booted)
        khs_inputs_changed(host->core);
    return true;
}

uint64_t khs_host_inputs(const khs_host *host)
{
    return host->input_count + host->fault_count;
}

void khs_host_cut_inputs(khs_host *host, uint64_t count)
{
    while (khs_host_inputs(host) > count)
        if (!khs_device_cut_fault(host))
            free((void *)host->inputs[--host->input_count].data);
}

bool khs_host_policy_at(khs_host *host, uint64_t frame, uint32_t policy)
{
    uint64_t begun = host->booted ? khs_frames(host->core) : 0;
    if (policy >= host->policy_count || frame <= begun || khs_port_policy_at(host, frame) != KHS_NONE)
        return false;
    khs_policy_swap *swaps = realloc(host->swaps, (host->swap_count + 1u) * sizeof *swaps);
    if (swaps == NULL)
        return false;
    host->swaps = swaps;
    host->swaps[host->swap_count++] = (khs_policy_swap){frame, policy};
    return true;
}

/* ------------------------------------------------------------ booting */

uint32_t khs_host_boot(khs_host *host)
{
    for (uint32_t i = 0; i < host->memory.count; i++)
        khs_memory_reset(&host->memory, i);
    if (!khs_devices_reset(host))
        return KHS_NO_MEMORY;
    host->taken = false;
    host->written = 0;
    host->debug.fault_at = KHS_HOST_NEVER;
    host->debug.halt.cause = 0;
    for (uint32_t i = 0; i < host->config->partitions.count; i++)
        if (host->cpus[i] != NULL)
            host->cpus[i]->called = host->cpus[i]->last = 0;
    atomic_store(&host->stop, false);
    khs_status status = khs_boot(host->core, host->config, host->state, host->ring, host->ring_size, host);
    host->booted = status == KHS_OK_STATUS;
    return status;
}

void khs_host_stop(khs_host *host)
{
    atomic_store(&host->stop, true);
}

uint32_t khs_host_check_config(const void *config, uint64_t size, uint64_t *where)
{
    void *aligned = copy(config, size);
    size_t at = 0;
    if (aligned == NULL)
        return KHS_NO_MEMORY;
    uint32_t status = khs_config_check(aligned, size, &at);
    free(aligned);
    *where = at;
    return status;
}
