/* A partition that does anything: valid hypercalls, hostile ones, faults, waits. What it
 * does is a function of its seed and of what it could observe, never of when it is run. */
#include "host.h"

#include <string.h>

/* splitmix64 */
uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

typedef struct guest {
    fake_host *host;
    uint32_t partition;
    cpu *cpu;
} guest;

static uint64_t below(const guest *g, uint64_t limit)
{
    return limit ? next_random(&g->cpu->random) % limit : 0;
}

static bool chance(const guest *g, uint32_t one_in)
{
    return below(g, one_in) == 0;
}

/* A map of the partition with all `rights`, NULL if it has none. */
static const khs_cfg_map *map_with(const guest *g, uint32_t rights)
{
    khs_slice maps = g->host->core->cfg_partitions[g->partition].maps;
    uint32_t first = (uint32_t)below(g, maps.count);
    for (uint32_t i = 0; i < maps.count; i++) {
        const khs_cfg_map *map = &g->host->core->cfg_maps[maps.first + (first + i) % maps.count];
        if ((map->rights & rights) == rights)
            return map;
    }
    return NULL;
}

static uint64_t size_of(const guest *g, const khs_cfg_map *map)
{
    return g->host->core->cfg_regions[map->region].size;
}

/* Where data lies: one of a few places in a writable region, so that calls meet. */
static uint64_t data_address(const guest *g)
{
    const khs_cfg_map *map = map_with(g, KHS_W);
    return map ? map->address + 512u + below(g, 6) * 512u : 0;
}

static uint64_t hostile_address(const guest *g)
{
    const khs_cfg_map *map = map_with(g, 0);
    uint64_t size = map ? size_of(g, map) : 4096, start = map ? map->address : 0;
    const uint64_t bad[] = {0, 1, start, start - 1, start + size, start + size - 1, start + size - below(g, 64),
                            UINT64_MAX, UINT64_MAX - below(g, 64), 1ull << 32, (1ull << 32) - 4, 1ull << 63,
                            start + 1, start + (1ull << 32), next_random(&g->cpu->random)};
    return bad[below(g, sizeof bad / sizeof *bad)];
}

static uint64_t hostile_number(const guest *g)
{
    const uint64_t bad[] = {0, 1, 7, 8, 255, 256, 257, 4096, 65535, 65536, INT32_MAX, 0x80000000u, UINT32_MAX,
                            UINT64_MAX, 1ull << 32, (1ull << 32) + 1, next_random(&g->cpu->random)};
    return bad[below(g, sizeof bad / sizeof *bad)];
}

static uint32_t small_length(const guest *g)
{
    static const uint32_t lengths[] = {8, 16, 24, 32, 64, 128, 256, 512};
    return lengths[below(g, sizeof lengths / sizeof *lengths)];
}

/* A message for port `number` at `address`, or a reply; its length. */
static uint32_t message_at(const guest *g, uint64_t number, uint64_t address, bool reply)
{
    khs_slice ports = g->host->core->cfg_partitions[g->partition].ports;
    uint32_t length = chance(g, 8) ? small_length(g) : 16;
    if (!reply && number < ports.count && !chance(g, 8)) {
        const khs_cfg_port *port = &g->host->core->cfg_ports[ports.first + number];
        length = g->host->core->cfg_channels[port->channel].message_size;
    }
    uint8_t *to = khs_span(g->host->core, g->partition, address, length, KHS_W);
    if (!to)
        return length;
    kss_header header = {(uint32_t)below(g, 3), (uint16_t)(chance(g, 6) ? below(g, 3) : 0),
                         reply ? KSS_OUT + chance(g, 4) : KSS_IN};
    if (chance(g, 16))
        header.flags = (uint16_t)below(g, 4);
    if (chance(g, 3)) /* fields that are all zero are valid for any type */
        memset(to, 0, length);
    else
        for (uint32_t i = 0; i < length; i++)
            to[i] = (uint8_t)below(g, chance(g, 2) ? 256 : 4);
    memcpy(to, &header, khs_min(sizeof header, length));
    return length;
}

/* One of the partition's ports, mostly one that `number` can use. */
static uint64_t port_for(const guest *g, uint32_t number)
{
    static const uint8_t uses[KHS_HYPERCALLS] = {
        [KHS_HC_CALL] = 2 * KHS_CALLS + KHS_SOURCE,           [KHS_HC_PORT_WRITE] = 2 * KHS_SAMPLING + KHS_SOURCE,
        [KHS_HC_PORT_READ] = 2 * KHS_SAMPLING + KHS_DESTINATION, [KHS_HC_PORT_SEND] = 2 * KHS_QUEUING + KHS_SOURCE,
        [KHS_HC_PORT_RECEIVE] = 2 * KHS_QUEUING + KHS_DESTINATION};
    const khs_core *core = g->host->core;
    khs_slice ports = core->cfg_partitions[g->partition].ports;
    uint64_t port = below(g, ports.count + (uint64_t)chance(g, 8));
    for (uint32_t tries = 0; tries < ports.count && !chance(g, 12); tries++, port = (port + 1) % ports.count) {
        const khs_cfg_port *p = &core->cfg_ports[ports.first + port % ports.count];
        if (2 * core->cfg_channels[p->channel].kind + p->direction == uses[number])
            break;
    }
    return port;
}

/* Where structs from the kernel go: mostly to one place, where token() finds them. */
static uint64_t info_address(const guest *g)
{
    khs_slice maps = g->host->core->cfg_partitions[g->partition].maps;
    for (uint32_t i = 0; i < maps.count; i++)
        if (g->host->core->cfg_maps[maps.first + i].rights & KHS_W)
            return g->host->core->cfg_maps[maps.first + i].address + 4088u * (uint64_t)chance(g, 16);
    return 0;
}

static uint64_t handler_address(const guest *g)
{
    const khs_cfg_map *map = map_with(g, KHS_X);
    return !map || chance(g, 6) ? 0 : map->address + 4 * below(g, 64);
}

/* What the arguments of each hypercall are: Port, input (Q), Address of data, Length (of the message
 * at the address before), Capacity, Info, Timeout (K: long), tOken, Mode, Restart mode, partition nUmber, Handler,
 * Flag, Schedule, policy Number, X for text. */
static const char *const kinds[KHS_HYPERCALLS] = {
    [KHS_HC_NOP] = "",           [KHS_HC_TIME_GET] = "I",        [KHS_HC_PERIOD_WAIT] = "",
    [KHS_HC_WAIT] = "",          [KHS_HC_PARTITION_STATUS] = "I", [KHS_HC_PARTITION_MODE_SET] = "M",
    [KHS_HC_PARTITION_RESTART] = "UR", [KHS_HC_SCHEDULE_SWITCH] = "S", [KHS_HC_SCHEDULE_STATUS] = "I",
    [KHS_HC_ERROR_RAISE] = "NAX", [KHS_HC_MODULE_STOP] = "",     [KHS_HC_CONSOLE_WRITE] = "AX",
    [KHS_HC_POLICY_SWAP] = "N", [KHS_HC_CALL] = "PALACK",      [KHS_HC_RECV] = "ACIT",
    [KHS_HC_REPLY] = "OAL",      [KHS_HC_PORT_WRITE] = "PAL",    [KHS_HC_PORT_READ] = "PACI",
    [KHS_HC_PORT_SEND] = "PAL",  [KHS_HC_PORT_RECEIVE] = "PACT", [KHS_HC_PORT_STATUS] = "PI",
    [KHS_HC_INPUT_RECEIVE] = "QACT", [KHS_HC_TIMER_SET] = "TT",  [KHS_HC_INTERRUPT_ATTACH] = "HF",
    [KHS_HC_INTERRUPT_MASK] = "F", [KHS_HC_INTERRUPT_RETURN] = "", [KHS_HC_SECURITY] = "AL",
    [KHS_HC_POLICY_INSTALL] = "AZ", [KHS_HC_ERROR_STATUS] = "I",
};

static uint64_t token(const guest *g)
{
    uint32_t word = (uint32_t)below(g, 8);
    const uint8_t *from = khs_span(g->host->core, g->partition, info_address(g), sizeof word, 0);
    if (from && !chance(g, 8))
        memcpy(&word, from, sizeof word);
    return word;
}

static uint64_t argument(const guest *g, char kind, uint32_t number, const uint64_t *before)
{
    const khs_core *core = g->host->core;
    switch (kind) {
    case 'P':
        return port_for(g, number);
    case 'Q':
        return below(g, core->cfg_partitions[g->partition].inputs.count + (uint64_t)chance(g, 8));
    case 'A':
        return data_address(g);
    case 'L':
        return message_at(g, before[-2], before[-1], number == KHS_HC_REPLY);
    case 'C':
        return chance(g, 4) ? small_length(g) : 512;
    case 'I':
        return info_address(g);
    case 'K':
        return chance(g, 4) ? below(g, 500) : 20000;
    case 'T':
        return chance(g, 5) ? 0 : below(g, chance(g, 5) ? 100000 : 300);
    case 'O':
        return token(g);
    case 'M':
        return chance(g, 6) ? below(g, 4 * (uint64_t)chance(g, 4) + 3) + (uint64_t)!chance(g, 10) : KHS_MODE_NORMAL;
    case 'R':
        return chance(g, 40) ? below(g, 4) : 1 + below(g, 2);
    case 'U':
        return below(g, core->cfg->partitions.count);
    case 'S':
        return below(g, core->cfg->schedules.count);
    case 'H':
        return handler_address(g);
    case 'F':
        return below(g, 4);
    case 'N':
        return below(g, POLICIES_MAX);
    case 'X':
        return below(g, 140);
    default: /* 'Z' */
        return chance(g, 3) ? below(g, 4096) : 0;
    }
}

static void choose_hypercall(const guest *g, khs_return *why)
{
    uint64_t arguments[2 + KHS_EVENT_ARGS_MAX] = {UINT64_MAX, 0}, *a = arguments + 2;
    why->kind = KHS_RET_HYPERCALL;
    why->number = (uint32_t)(chance(g, 32) ? hostile_number(g) : below(g, KHS_HYPERCALLS));
    if (why->number == KHS_HC_MODULE_STOP && !chance(g, 1000))
        why->number = KHS_HC_REPLY;
    if (g->cpu->handling && chance(g, 4))
        why->number = KHS_HC_INTERRUPT_RETURN;
    if (g->cpu->last == KHS_HC_RECV && g->cpu->now.code == KHS_CODE_OK && !chance(g, 4))
        why->number = KHS_HC_REPLY;
    g->cpu->last = why->number;
    const char *kind = why->number < KHS_HYPERCALLS ? kinds[why->number] : "";
    for (uint32_t i = 0; kind[i]; i++) {
        a[i] = argument(g, kind[i], why->number, &a[i]);
        if (chance(g, 24))
            a[i] = kind[i] == 'A' || kind[i] == 'I' || kind[i] == 'H' ? hostile_address(g) : hostile_number(g);
    }
    memcpy(g->cpu->arguments, a, sizeof g->cpu->arguments);
}

static void choose_fault(const guest *g, khs_return *why)
{
    const khs_cfg_partition *cfg = &g->host->core->cfg_partitions[g->partition];
    why->kind = KHS_RET_FAULT;
    why->fault.kind = (uint32_t)below(g, 13);
    why->fault.detail = (uint32_t)below(g, 3);
    why->fault.address = chance(g, 3) ? cfg->stack_guard + below(g, 4096) : hostile_address(g);
}

khs_return random_run(fake_host *host, uint32_t partition, uint64_t budget)
{
    guest g = {host, partition, &host->cpus[partition]};
    cpu_context *now = &g.cpu->now;
    khs_return why = {.kind = KHS_RET_BUDGET};
    if (now->left == 0)
        now->left = 1 + below(&g, chance(&g, 8) ? 2000 : 20);
    why.ticks = khs_min(now->left, budget);
    now->left -= why.ticks;
    if (now->left != 0)
        return why;
    /* the last tick of the run is the trap; a fault does not count its own */
    g.cpu->random ^= now->code + ((uint64_t)now->value << 32);
    if (chance(&g, 400))
        choose_fault(&g, &why);
    else if (chance(&g, 20))
        why.kind = KHS_RET_WAIT;
    else
        choose_hypercall(&g, &why);
    return why;
}
