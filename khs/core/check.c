/* config.bin is read with suspicion once, here; later code relies on what this proved. */
#include "internal.h"

typedef struct reader {
    const uint8_t *base;
    uint64_t size;
    const uint8_t *defect; /* NULL while all is well */
} reader;

static bool fail(reader *r, const void *at)
{
    r->defect = at;
    return false;
}

#define REQUIRE(condition, at) \
    do { \
        if (!(condition)) \
            return fail(r, at); \
    } while (0)

static bool table(reader *r, const khs_table *t, uint64_t record, uint32_t least)
{
    REQUIRE(t->offset % 8u == 0 && t->offset >= sizeof(khs_config), &t->offset);
    REQUIRE(t->offset <= r->size && t->count <= (r->size - t->offset) / record, &t->count);
    REQUIRE(t->count >= least, &t->count);
    return true;
}

static bool slice(reader *r, const khs_slice *s, const khs_table *t)
{
    REQUIRE(s->first <= t->count && s->count <= t->count - s->first, s);
    return true;
}

static const void *records(const reader *r, const khs_table *t)
{
    return r->base + t->offset;
}

static bool header(reader *r, const khs_config *c)
{
    REQUIRE(c->magic == KHS_CONFIG_MAGIC, &c->magic);
    REQUIRE(c->version == KHS_CONFIG_VERSION, &c->version);
    REQUIRE(c->size == r->size, &c->size);
    REQUIRE(c->clock_hz > 0 && c->clock_hz <= 10000000000u, &c->clock_hz); /* see khs_ns */
    REQUIRE(c->arch >= KHS_ARMV7 && c->arch <= KHS_X64, &c->arch);
    REQUIRE(c->policies >= 1, &c->policies);
    REQUIRE(c->cost_call <= 1000000u, &c->cost_call);
    REQUIRE(c->cost_copy <= 1000000u, &c->cost_copy);
    REQUIRE(c->cost_verdict <= 1000000u, &c->cost_verdict);
    /* the kernel's own services need 8 + 8 + 256 bytes; records carry messages whole */
    REQUIRE(c->max_message >= 512u && c->max_message <= 1u << 20, &c->max_message);
    REQUIRE(c->policy_image <= 1u << 26 && c->policy_image % 16u == 0, &c->policy_image);
    REQUIRE(c->policy_state <= 1u << 28 && c->policy_state % 16u == 0, &c->policy_state);
    REQUIRE(c->partitions.count <= KHS_PARTITIONS_MAX, &c->partitions.count);
    return table(r, &c->partitions, sizeof(khs_cfg_partition), 1) &&
           table(r, &c->schedules, sizeof(khs_cfg_schedule), 1) &&
           table(r, &c->windows, sizeof(khs_cfg_window), 1) &&
           table(r, &c->regions, sizeof(khs_cfg_region), 1) &&
           table(r, &c->maps, sizeof(khs_cfg_map), 1) &&
           table(r, &c->channels, sizeof(khs_cfg_channel), 0) &&
           table(r, &c->readers, sizeof(khs_cfg_reader), 0) &&
           table(r, &c->ports, sizeof(khs_cfg_port), 0) &&
           table(r, &c->inputs, sizeof(khs_cfg_input), 0) &&
           table(r, &c->health, sizeof(khs_cfg_health), c->partitions.count * KHS_STATES * KHS_ERRORS);
}

/* Times stay far from the end of u64, so that sums of a few never wrap. */
static bool time_ok(uint64_t ticks)
{
    return ticks < 1ull << 56;
}

static bool maps(reader *r, const khs_config *c, const khs_cfg_partition *p)
{
    const khs_cfg_map *map = records(r, &c->maps);
    const khs_cfg_region *regions = records(r, &c->regions);
    uint64_t end = 4096u; /* null points nowhere */
    uint64_t limit = c->arch == KHS_X64 ? 1ull << 47 : 1ull << 32;
    for (uint32_t i = p->maps.first; i < p->maps.first + p->maps.count; i++) {
        REQUIRE(map[i].region < c->regions.count, &map[i].region);
        uint64_t size = regions[map[i].region].size;
        REQUIRE(map[i].address % 4096u == 0 && map[i].address >= end && map[i].address < limit, &map[i].address);
        REQUIRE(size <= limit - map[i].address, &map[i].address);
        uint32_t rights = map[i].rights;
        REQUIRE(rights != 0 && rights <= (KHS_R | KHS_W | KHS_X), &map[i].rights);
        REQUIRE((rights & (KHS_W | KHS_X)) != (KHS_W | KHS_X), &map[i].rights);
        end = map[i].address + size;
    }
    return true;
}

static bool partition(reader *r, const khs_config *c, const khs_cfg_partition *p)
{
    if (!slice(r, &p->maps, &c->maps) || !slice(r, &p->ports, &c->ports) || !slice(r, &p->inputs, &c->inputs))
        return false;
    REQUIRE(time_ok(p->period), &p->period);
    REQUIRE(time_ok(p->deadline) && (p->deadline == 0 || p->deadline <= p->period), &p->deadline);
    REQUIRE(time_ok(p->phase), &p->phase);
    REQUIRE(time_ok(p->restart_within), &p->restart_within);
    REQUIRE(p->restart_limit <= KHS_RESTART_MEMORY, &p->restart_limit);
    REQUIRE(p->restart_then < KHS_HM_ACTIONS && p->restart_then != KHS_WARM_RESTART &&
                p->restart_then != KHS_COLD_RESTART,
            &p->restart_then);
    REQUIRE(p->privileges < KHS_PRIV_MODULE_STOP * 2u, &p->privileges);
    return maps(r, c, p);
}

static bool windows(reader *r, const khs_config *c, const khs_cfg_schedule *s)
{
    const khs_cfg_window *w = records(r, &c->windows);
    uint64_t end = 0;
    REQUIRE(s->major_frame > 0 && time_ok(s->major_frame), &s->major_frame);
    if (!slice(r, &s->windows, &c->windows))
        return false;
    for (uint32_t i = s->windows.first; i < s->windows.first + s->windows.count; i++) {
        REQUIRE(w[i].start >= end && w[i].start < s->major_frame, &w[i].start);
        REQUIRE(w[i].length > 0 && w[i].length <= s->major_frame - w[i].start, &w[i].length);
        REQUIRE(w[i].partition < c->partitions.count, &w[i].partition);
        end = w[i].start + w[i].length;
    }
    return true;
}

static bool channel(reader *r, const khs_config *c, const khs_cfg_channel *ch, uint32_t index)
{
    const khs_cfg_reader *readers = records(r, &c->readers);
    REQUIRE(ch->kind <= KHS_CALLS, &ch->kind);
    REQUIRE(ch->source < c->partitions.count, &ch->source);
    if (!slice(r, &ch->readers, &c->readers))
        return false;
    REQUIRE(ch->readers.count >= 1 && ch->readers.count <= (ch->kind == KHS_CALLS ? 1u : 32u), &ch->readers.count);
    REQUIRE(ch->kind == KHS_CALLS || ch->mid <= UINT16_MAX, &ch->mid);
    REQUIRE(ch->message_size >= sizeof(kss_header) && ch->message_size <= c->max_message, &ch->message_size);
    REQUIRE(ch->kind != KHS_QUEUING || (ch->depth >= 1 && ch->depth <= 65536u), &ch->depth);
    REQUIRE(time_ok(ch->refresh), &ch->refresh);
    for (uint32_t i = ch->readers.first; i < ch->readers.first + ch->readers.count; i++) {
        REQUIRE(readers[i].channel == index, &readers[i].channel);
        REQUIRE(readers[i].partition < c->partitions.count, &readers[i].partition);
    }
    return true;
}

/* Every reader belongs to the channel that lists it, or nobody would size its queue. */
static bool reader_ok(reader *r, const khs_config *c, const khs_cfg_reader *e, uint32_t index)
{
    const khs_cfg_channel *channels = records(r, &c->channels);
    REQUIRE(e->channel < c->channels.count, &e->channel);
    khs_slice s = channels[e->channel].readers;
    REQUIRE(index >= s.first && index - s.first < s.count, &e->channel);
    return true;
}

static bool port(reader *r, const khs_config *c, const khs_cfg_port *p, uint32_t partition_number)
{
    const khs_cfg_channel *channels = records(r, &c->channels);
    const khs_cfg_reader *readers = records(r, &c->readers);
    REQUIRE(p->channel < c->channels.count, &p->channel);
    REQUIRE(p->direction <= KHS_DESTINATION, &p->direction);
    if (p->direction == KHS_SOURCE) {
        REQUIRE(p->reader == KHS_NONE, &p->reader);
        REQUIRE(channels[p->channel].source == partition_number, &p->channel);
        return true;
    }
    REQUIRE(p->reader < c->readers.count, &p->reader);
    REQUIRE(readers[p->reader].channel == p->channel && readers[p->reader].partition == partition_number, &p->reader);
    return true;
}

static bool owned(reader *r, const khs_config *c, uint32_t number)
{
    const khs_cfg_partition *p = (const khs_cfg_partition *)records(r, &c->partitions) + number;
    const khs_cfg_port *ports = records(r, &c->ports);
    const khs_cfg_input *inputs = records(r, &c->inputs);
    if (!partition(r, c, p))
        return false;
    for (uint32_t i = p->ports.first; i < p->ports.first + p->ports.count; i++)
        if (!port(r, c, &ports[i], number))
            return false;
    for (uint32_t i = p->inputs.first; i < p->inputs.first + p->inputs.count; i++)
        REQUIRE(inputs[i].partition == number, &inputs[i].partition);
    return true;
}

static bool input(reader *r, const khs_config *c, const khs_cfg_input *in)
{
    REQUIRE(in->partition < c->partitions.count, &in->partition);
    REQUIRE(in->capacity >= 1 && in->capacity <= c->max_message, &in->capacity);
    REQUIRE(in->depth >= 1 && in->depth <= 65536u, &in->depth);
    return true;
}

static bool region(reader *r, const khs_cfg_region *g)
{
    REQUIRE(g->size > 0 && g->size % 4096u == 0 && g->size <= 1ull << 40, &g->size);
    REQUIRE(g->file_size <= g->size, &g->file_size);
    REQUIRE(g->flags <= (KHS_REGION_SHARED | KHS_REGION_KEEP), &g->flags);
    return true;
}

/* The partition goes on after such an error, so that its own handler can deal with it. */
static bool goes_on(uint32_t error)
{
    return 1u << error & (1u << KHS_ERROR_DEADLINE_MISSED | 1u << KHS_ERROR_APPLICATION | 1u << KHS_ERROR_INPUT_OVERFLOW |
                          1u << KHS_ERROR_DEVICE_FAULT);
}

/* Level and action have to go together. At process level a handler is told, and the action
 * is for partitions without one; a module is neither restarted nor idle. */
static bool health(reader *r, const khs_cfg_health *h, uint32_t error)
{
    REQUIRE(h->level < KHS_LEVELS, &h->level);
    REQUIRE(h->action < KHS_HM_ACTIONS, &h->action);
    REQUIRE(h->level != KHS_LEVEL_PROCESS || goes_on(error), &h->level);
    REQUIRE(h->level != KHS_LEVEL_PROCESS || (h->action != KHS_IGNORE && h->action != KHS_MODULE_STOP), &h->action);
    REQUIRE(h->level != KHS_LEVEL_MODULE || h->action <= KHS_LOG || h->action == KHS_MODULE_STOP, &h->action);
    return true;
}

/* Runs `check` over each record of a table. */
#define EACH(type, name, check) \
    do { \
        const type *record = records(r, &c->name); \
        for (uint32_t i = 0; i < c->name.count; i++) \
            if (!(check)) \
                return false; \
    } while (0)

static bool everything(reader *r, const khs_config *c)
{
    if (!header(r, c))
        return false;
    EACH(khs_cfg_region, regions, region(r, &record[i]));
    EACH(khs_cfg_channel, channels, channel(r, c, &record[i], i));
    EACH(khs_cfg_reader, readers, reader_ok(r, c, &record[i], i));
    EACH(khs_cfg_schedule, schedules, windows(r, c, &record[i]));
    EACH(khs_cfg_input, inputs, input(r, c, &record[i]));
    EACH(khs_cfg_health, health, health(r, &record[i], i % KHS_ERRORS));
    for (uint32_t i = 0; i < c->partitions.count; i++)
        if (!owned(r, c, i))
            return false;
    /* so that sizes and offsets fit the addresses of every board */
    REQUIRE(khs_state_bytes(c) <= KHS_BLOCK_MAX, &c->size);
    REQUIRE(khs_ring_bytes(c) <= KHS_BLOCK_MAX, &c->max_message);
    return true;
}

khs_status khs_config_check(const void *config, size_t size, size_t *where)
{
    reader r = {.base = config, .size = size};
    bool readable = size >= sizeof(khs_config) && (uintptr_t)config % 8u == 0;
    bool fine = readable ? everything(&r, config) : fail(&r, config);
    if (where != NULL && !fine)
        *where = (size_t)(r.defect - r.base);
    return fine ? KHS_OK_STATUS : KHS_BAD_CONFIG;
}
