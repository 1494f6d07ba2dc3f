/* Random guests. A system runs twice from its boot: once in one go with the smallest event
 * ring, then in slices, with inputs announced late, with a larger ring and with snapshots
 * that are taken, left and gone back to. Both must tell the same. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* Events as they were drained. */
typedef struct stream {
    uint8_t *bytes;
    size_t size;
    size_t room;
} stream;

static void append(void *context, const uint8_t *records, size_t size)
{
    stream *s = context;
    if (s->size + size > s->room) {
        s->room = 2 * (s->size + size);
        s->bytes = realloc(s->bytes, s->room);
        if (!s->bytes)
            die("no memory");
    }
    if (size)
        memcpy(s->bytes + s->size, records, size);
    s->size += size;
}

static void same_streams(const char *what, const stream *a, const stream *b)
{
    size_t at = 0;
    while (at < a->size && at < b->size && a->bytes[at] == b->bytes[at])
        at++;
    if (at != a->size || at != b->size)
        die("%s: events differ at byte %zu of %zu and %zu", what, at, a->size, b->size);
}

/* ------------------------------------------------------------ snapshots */

typedef struct snapshot {
    uint8_t *state;
    uint8_t *memory;
    cpu *cpus;
    uint64_t announced;
} snapshot;

static void take(const fake_host *host, snapshot *s)
{
    size_t cpus = host->config->partitions.count * sizeof *host->cpus;
    s->state = memcpy(allocate(host->state_size), host->state, host->state_size);
    s->memory = memcpy(allocate(host->memory_size), host->memory, host->memory_size);
    s->cpus = memcpy(allocate(cpus), host->cpus, cpus);
    s->announced = host->announced;
}

static void restore(fake_host *host, const snapshot *s)
{
    memcpy(host->state, s->state, host->state_size);
    memcpy(host->memory, s->memory, host->memory_size);
    memcpy(host->cpus, s->cpus, host->config->partitions.count * sizeof *host->cpus);
    host->announced = s->announced;
    khs_rebind(host->core);
}

static void drop(snapshot *s)
{
    free(s->state);
    free(s->memory);
    free(s->cpus);
}

/* When something is due next depends on which inputs are announced: nothing else may. */
static void same_state(const char *what, const fake_host *host, const snapshot *s)
{
    size_t due = offsetof(khs_state, next_due);
    memcpy(s->state + due, host->state + due, 2 * sizeof(uint64_t)); /* and next_cut */
    for (size_t i = 0; i < host->state_size; i++)
        if (host->state[i] != s->state[i])
            die("%s: state differs at byte %zu", what, i);
    if (memcmp(host->memory, s->memory, host->memory_size))
        die("%s: memory differs", what);
    if (memcmp(host->cpus, s->cpus, host->config->partitions.count * sizeof *host->cpus))
        die("%s: contexts differ", what);
}

/* ------------------------------------------------------------ slices */

static void announce(fake_host *host, uint64_t until)
{
    uint64_t before = host->announced;
    while (host->announced < host->input_count && host->inputs[host->announced].tick <= until)
        host->announced++;
    if (host->announced != before)
        khs_inputs_changed(host->core);
}

static bool in_slices(runner *r, uint64_t until, uint64_t *random)
{
    for (;;) {
        uint64_t now = khs_now(r->host.core);
        uint64_t slice = khs_min(now + next_random(random) % (next_random(random) % 4 ? 400 : 20000), until);
        announce(&r->host, slice);
        if (runner_until(r, slice) == KHS_STOPPED)
            return false;
        if (slice == until)
            return true;
    }
}

/* Goes on from here twice, with a snapshot in between. */
static bool twice(runner *r, uint64_t until, uint64_t *random)
{
    snapshot before, after;
    stream first = {0}, second = {0}, *whole = r->context;
    audit kept = {0};
    runner_drain(r); /* unread events are no part of a snapshot */
    take(&r->host, &before);
    audit_begin(&kept, &r->host);
    audit_copy(&kept, &r->audit);
    r->context = &first;
    bool running = in_slices(r, until, random);
    take(&r->host, &after);
    restore(&r->host, &before);
    audit_copy(&r->audit, &kept);
    r->context = &second;
    in_slices(r, until, random);
    same_streams("snapshot", &first, &second);
    same_state("snapshot", &r->host, &after);
    r->context = whole;
    append(whole, second.bytes, second.size);
    audit_end(&kept);
    drop(&before);
    drop(&after);
    free(first.bytes);
    free(second.bytes);
    return running;
}

static void by_pieces(runner *r, uint64_t end, uint64_t seed)
{
    uint64_t random = seed ^ 0x5bd1e995u;
    bool running = true;
    while (running && khs_now(r->host.core) < end) {
        uint64_t until = khs_min(khs_now(r->host.core) + 1 + next_random(&random) % 100000, end);
        running = next_random(&random) % 3 ? in_slices(r, until, &random) : twice(r, until, &random);
    }
}

/* ------------------------------------------------------------ the whole */

static void seed_guests(fake_host *host, uint64_t seed)
{
    uint32_t count = host->config->partitions.count;
    host->random = true;
    if (host->seeds)
        return;
    host->seeds = allocate(count * sizeof *host->seeds);
    for (uint32_t i = 0; i < count; i++)
        host->seeds[i] = next_random(&seed);
    if (host->reseed[0] < count)
        host->seeds[host->reseed[0]] = host->reseed[1];
}

static void report(const runner *r, bool statistics)
{
    const audit *a = &r->audit;
    printf("returns %llu ticks %llu frames %llu events %llu hash %016llx%s\n", (unsigned long long)r->returns,
           (unsigned long long)khs_now(r->host.core), (unsigned long long)khs_frames(r->host.core),
           (unsigned long long)a->events, (unsigned long long)a->hash,
           khs_has_stopped(r->host.core) ? " stopped" : "");
    for (uint32_t i = 0; i < r->host.config->partitions.count; i++) {
        khs_partition_view v;
        khs_view(r->host.core, i, &v);
        printf("partition %u %016llx mode %u restarts %u blocked %d hypercalls %llu granted %llu denied %llu\n", i,
               (unsigned long long)a->visible[i], v.mode, v.restarts, (int)v.blocked,
               (unsigned long long)v.hypercalls, (unsigned long long)v.granted, (unsigned long long)v.denied);
    }
    if (!statistics)
        return;
    for (uint32_t n = 0; n <= KHS_HYPERCALLS; n++) {
        printf("hypercall %u: blocked %u, codes", n, a->blocked[n]);
        for (uint32_t code = 0; code < KHS_CODES; code++)
            if (a->reached[n][code])
                printf(" %u:%u", code, a->reached[n][code]);
        putchar('\n');
    }
    printf("events");
    for (uint32_t type = KHS_EV_BOOT; type <= KHS_EV_AUDIT; type++)
        printf(" %u:%u", type, a->types[type]);
    putchar('\n');
}

void fuzz(fake_host *system, uint64_t seed, uint64_t steps, uint64_t until, bool statistics)
{
    runner whole = {0}, pieces = {0};
    stream one = {0}, other = {0};
    snapshot end;
    seed_guests(system, seed);
    size_t smallest = khs_ring_size(system->config);

    whole.sink = pieces.sink = append;
    whole.context = &one;
    pieces.context = &other;
    runner_boot(&whole, system, smallest);
    khs_action_kind kind = KHS_RUN;
    while (whole.returns < steps && (kind == KHS_RUN || kind == KHS_DRAIN))
        kind = runner_step(&whole, until);
    uint64_t reached = khs_now(whole.host.core);
    runner_until(&whole, reached);
    report(&whole, statistics);

    system->announced = 0;
    runner_boot(&pieces, system, smallest + 8 * (seed % 4096));
    by_pieces(&pieces, reached, seed);
    same_streams("slices", &one, &other);
    take(&whole.host, &end);
    same_state("slices", &pieces.host, &end);
    drop(&end);
    free(one.bytes);
    free(other.bytes);
    runner_free(&whole);
    runner_free(&pieces);
}

/* ------------------------------------------------------------ corrupted config.bin */

static void spoil(uint8_t *bytes, size_t size, uint64_t *random)
{
    static const uint32_t values[] = {0, 1, 2, 3, 7, 8, 31, 32, 33, 255, 4095, 4096, 65536, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (uint64_t changes = 1 + next_random(random) % 3; changes; changes--) {
        size_t word = next_random(random) % (size / 4) * 4;
        uint32_t value = values[next_random(random) % (sizeof values / sizeof *values)];
        switch (next_random(random) % 4) {
        case 0:
            bytes[next_random(random) % size] ^= (uint8_t)(1u << next_random(random) % 8);
            break;
        case 1: { /* nudge */
            uint32_t old;
            memcpy(&old, bytes + word, 4);
            old += (uint32_t)(next_random(random) % 5) - 2;
            memcpy(bytes + word, &old, 4);
            break;
        }
        case 2: /* a word from elsewhere */
            memmove(bytes + word, bytes + next_random(random) % (size / 4) * 4, 4);
            break;
        default:
            memcpy(bytes + word, &value, 4);
        }
    }
}

/* Spoils config.bin `count` times: it is refused, or the system runs. */
void corrupt(fake_host *system, uint64_t seed, uint64_t count)
{
    uint64_t random = seed, refused = 0, large = 0, unbootable = 0, ran = 0;
    for (uint64_t i = 0; i < count; i++) {
        fake_host spoilt = *system;
        size_t where = SIZE_MAX;
        spoilt.config = memcpy(allocate(system->config_size), system->config, system->config_size);
        spoil((uint8_t *)spoilt.config, system->config_size, &random);
        if (khs_config_check(spoilt.config, spoilt.config_size, &where) != KHS_OK_STATUS) {
            refused++;
            if (where >= spoilt.config_size)
                die("refused at %zu of %zu", where, spoilt.config_size);
        } else if (!host_fits(&spoilt, 32u << 20)) {
            large++;
        } else {
            spoilt.seeds = NULL;
            seed_guests(&spoilt, next_random(&random));
            runner r = {.host = spoilt};
            audit_begin(&r.audit, &r.host);
            if (host_boot(&r.host, khs_ring_size(spoilt.config)) == KHS_OK_STATUS) {
                ran++;
                khs_action_kind kind = KHS_RUN;
                while (r.returns < 300 && (kind == KHS_RUN || kind == KHS_DRAIN))
                    kind = runner_step(&r, 10000000u);
                runner_drain(&r);
            } else {
                unbootable++;
            }
            runner_free(&r);
            free(spoilt.seeds);
        }
        free(spoilt.config);
    }
    printf("refused %llu too_large %llu unbootable %llu ran %llu\n", (unsigned long long)refused,
           (unsigned long long)large, (unsigned long long)unbootable, (unsigned long long)ran);
}
