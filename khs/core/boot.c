/* The state block: sized from config.bin, laid out, bound, and taken to tick 0. */
#include "internal.h"

/* Places things one after the other; without a base it only measures. */
typedef struct arena {
    uint8_t *base;
    uint64_t used; /* may exceed what an address holds while an unchecked system is measured */
} arena;

static uint64_t place(arena *a, uint64_t size)
{
    uint64_t at = a->used;
    a->used += (size + 15u) & ~(uint64_t)15u;
    return at;
}

static uint64_t queue_size(uint32_t message, uint32_t depth)
{
    return sizeof(khs_queue) + (uint64_t)khs_item_stride(message) * depth;
}

static void *block(arena *a, uint64_t size)
{
    uint64_t at = place(a, size);
    return a->base ? a->base + at : NULL;
}

/* The largest request a partition may have under way. */
static uint32_t largest_call(const khs_core *core, uint32_t partition)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < core->cfg->channels.count; i++) {
        const khs_cfg_channel *channel = &core->cfg_channels[i];
        if (channel->kind == KHS_CALLS && channel->source == partition && channel->message_size > largest)
            largest = channel->message_size;
    }
    return largest;
}

static void lay_queues(khs_core *core, arena *a)
{
    const khs_config *c = core->cfg;
    bool bound = a->base != NULL;
    for (uint32_t i = 0; i < c->readers.count; i++) {
        const khs_cfg_channel *channel = &core->cfg_channels[core->cfg_readers[i].channel];
        uint32_t depth = channel->kind == KHS_QUEUING ? channel->depth : channel->kind == KHS_SAMPLING;
        uint64_t at = place(a, queue_size(channel->message_size, depth));
        if (bound)
            core->reader_at[i] = at;
    }
    for (uint32_t i = 0; i < c->inputs.count; i++) {
        uint64_t at = place(a, queue_size(core->cfg_inputs[i].capacity, core->cfg_inputs[i].depth));
        if (bound)
            core->input_at[i] = at;
    }
    for (uint32_t i = 0; i < c->partitions.count; i++) {
        uint64_t at = place(a, largest_call(core, i));
        if (bound)
            core->call_at[i] = at;
    }
}

/* Lays out the state block; returns its size. Offsets first, then what they point to. */
static uint64_t lay(khs_core *core, uint8_t *base)
{
    const khs_config *c = core->cfg;
    arena a = {.base = base};
    core->base = base;
    core->state = block(&a, sizeof(khs_state));
    core->partitions = block(&a, (uint64_t)sizeof(khs_partition) * c->partitions.count);
    core->classes = block(&a, (uint64_t)sizeof(uint32_t) * 2u * c->partitions.count);
    core->reader_at = block(&a, (uint64_t)sizeof(uint64_t) * c->readers.count);
    core->input_at = block(&a, (uint64_t)sizeof(uint64_t) * c->inputs.count);
    core->call_at = block(&a, (uint64_t)sizeof(uint64_t) * c->partitions.count);
    core->scratch = block(&a, c->max_message);
    for (uint32_t slot = 0; slot < 2; slot++) {
        core->policy_image[slot] = block(&a, c->policy_image);
        core->policy_state[slot] = block(&a, c->policy_state);
    }
    lay_queues(core, &a);
    return a.used;
}

static void bind_tables(khs_core *core, const khs_config *config)
{
    const uint8_t *base = (const uint8_t *)config;
    core->cfg = config;
    core->cfg_partitions = (const void *)(base + config->partitions.offset);
    core->cfg_schedules = (const void *)(base + config->schedules.offset);
    core->cfg_windows = (const void *)(base + config->windows.offset);
    core->cfg_regions = (const void *)(base + config->regions.offset);
    core->cfg_maps = (const void *)(base + config->maps.offset);
    core->cfg_channels = (const void *)(base + config->channels.offset);
    core->cfg_readers = (const void *)(base + config->readers.offset);
    core->cfg_ports = (const void *)(base + config->ports.offset);
    core->cfg_inputs = (const void *)(base + config->inputs.offset);
    core->cfg_health = (const void *)(base + config->health.offset);
}

size_t khs_core_size(void)
{
    return sizeof(khs_core);
}

uint64_t khs_state_bytes(const khs_config *config)
{
    khs_core measured = {0};
    bind_tables(&measured, config);
    return lay(&measured, NULL);
}

size_t khs_state_size(const khs_config *config)
{
    return (size_t)khs_state_bytes(config);
}

/* What one step of khs_next or one khs_returned may append: a write to the widest channel
 * (a verdict and a delivery per reader), every waiting call judged again after a policy
 * swap, and a handful of small records per partition for what is due at one tick. With
 * every verdict comes its audit record. */
static uint64_t reserve(const khs_config *config)
{
    const khs_cfg_channel *channels = (const void *)((const uint8_t *)config + config->channels.offset);
    uint64_t small = 256, widest = 1, calls = 0;
    uint64_t audit = sizeof(khs_event) + KHS_AUDIT_CALLS * sizeof(kss_audited);
    for (uint32_t i = 0; i < config->channels.count; i++) {
        if (channels[i].readers.count > widest)
            widest = channels[i].readers.count;
        if (channels[i].kind == KHS_CALLS)
            calls += channels[i].message_size + 2u * small + audit;
    }
    return (2u * widest + 4u) * (config->max_message + small) + calls +
           config->partitions.count * (4u * small + audit) + (widest + 4u) * audit;
}

uint64_t khs_ring_bytes(const khs_config *config)
{
    return 2u * reserve(config);
}

size_t khs_ring_size(const khs_config *config)
{
    return (size_t)khs_ring_bytes(config);
}

KHS_LANDMARK khs_status khs_boot(khs_core *core, const khs_config *config, void *state, void *ring,
                                 size_t ring_size, void *port)
{
    khs_zero(core, sizeof *core);
    bind_tables(core, config);
    khs_zero(state, khs_state_size(config));
    lay(core, state);
    core->port = port;
    core->ring = ring;
    core->ring_size = ring_size;
    core->ring_reserve = (size_t)reserve(config);
    if (ring_size < khs_ring_size(config))
        return KHS_NO_MEMORY;
    khs_status status = khs_policy_load(core, 0, 0, 0);
    if (status != KHS_OK_STATUS)
        return status;
    khs_partition_boot(core);
    return KHS_OK_STATUS;
}
