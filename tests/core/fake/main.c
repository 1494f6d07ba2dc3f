/* fake_host MODE CONFIG POLICY... [--option value]...
 *
 *   check               khs_config_check; prints the offset of the defect
 *   sizes               bytes of the core, of its state and of the smallest event ring
 *   run                 runs scripts; raw events to --events, what scripts peek to --observe
 *   fuzz                random guests, --seed, --steps
 *   corrupt             spoils config.bin --steps times
 *   bench NUMBER ARGS   nanoseconds of a hypercall of partition 0 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* What main allocates lives as long as the process. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

typedef struct options {
    const char *mode, *memory, *inputs, *script, *events, *observe, *views;
    uint64_t until, slice, ring, seed, steps;
    uint64_t bench[1 + KHS_EVENT_ARGS_MAX];
    bool statistics;
} options;

static void add_policy(fake_host *host, const char *path)
{
    if (host->policy_count == POLICIES_MAX)
        die("too many policies");
    host->policies[host->policy_count] = read_file(path, &host->policy_sizes[host->policy_count]);
    host->policy_count++;
}

static const char *option(options *o, fake_host *host, const char *name, char **at)
{
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
        uint32_t count;
    } known[] = {
        {"--memory", &o->memory, NULL, 1}, {"--inputs", &o->inputs, NULL, 1}, {"--script", &o->script, NULL, 1},
        {"--events", &o->events, NULL, 1}, {"--observe", &o->observe, NULL, 1}, {"--views", &o->views, NULL, 1},
        {"--until", NULL, &o->until, 1},   {"--slice", NULL, &o->slice, 1},   {"--ring", NULL, &o->ring, 1},
        {"--seed", NULL, &o->seed, 1},     {"--steps", NULL, &o->steps, 1},   {"--reseed", NULL, host->reseed, 2},
        {"--bench", NULL, o->bench, 1 + KHS_EVENT_ARGS_MAX},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name))
            continue;
        for (uint32_t k = 0; k < known[i].count && at[k]; k++) {
            if (known[i].text)
                *known[i].text = at[k];
            else
                known[i].number[k] = strtoull(at[k], NULL, 0);
        }
        return at[known[i].count - 1];
    }
    die("no option %s", name);
}

static void parse(int argc, char **argv, options *o, fake_host *host)
{
    o->mode = argv[1];
    host->config = (khs_config *)(void *)read_file(argv[2], &host->config_size);
    for (int i = 3; i < argc; i++) {
        if (!strcmp(argv[i], "--statistics")) {
            o->statistics = true;
        } else if (!strncmp(argv[i], "--", 2)) {
            const char *last = option(o, host, argv[i], argv + i + 1);
            while (argv[i] != last)
                i++;
        } else {
            add_policy(host, argv[i]);
        }
    }
}

static void to_file(void *context, const uint8_t *records, size_t size)
{
    if (fwrite(records, 1, size, context) != size)
        die("cannot write events");
}

static FILE *output(const char *path)
{
    FILE *file = fopen(path ? path : "/dev/null", "wb");
    if (!file)
        die("cannot write %s", path);
    return file;
}

/* "mode sid blocked restarts halted ticks idle hypercalls denied granted faults met missed" */
static void write_views(const fake_host *host, const char *path)
{
    FILE *file = output(path);
    for (uint32_t i = 0; i < host->config->partitions.count; i++) {
        khs_partition_view v;
        khs_view(host->core, i, &v);
        fprintf(file, "%u %u %u %u %u", v.mode, v.sid, v.blocked, v.restarts, v.halted);
        const uint64_t more[] = {v.ticks, v.idle_ticks, v.hypercalls, v.denied, v.granted, v.faults, v.deadlines_met, v.deadlines_missed};
        for (size_t k = 0; k < sizeof more / sizeof *more; k++)
            fprintf(file, " %llu", (unsigned long long)more[k]);
        fputc('\n', file);
    }
    fclose(file);
}

static void run(fake_host *host, const options *o)
{
    FILE *events = output(o->events);
    host->observed = output(o->observe);
    runner r = {.sink = to_file, .context = events};
    runner_boot(&r, host, o->ring ? o->ring : khs_ring_size(host->config));
    khs_action_kind kind = KHS_PAUSE;
    for (uint64_t at = o->slice ? khs_min(o->slice, o->until) : o->until;; at = khs_min(at + o->slice, o->until)) {
        kind = runner_until(&r, at);
        if (kind == KHS_STOPPED || at == o->until)
            break;
    }
    write_views(&r.host, o->views);
    printf("now %llu frames %llu end %llu schedule %u stopped %d returns %llu\n", (unsigned long long)khs_now(r.host.core),
           (unsigned long long)khs_frames(r.host.core), (unsigned long long)khs_frame_end(r.host.core),
           khs_schedule(r.host.core), khs_has_stopped(r.host.core), (unsigned long long)r.returns);
    fclose(events);
    fclose(host->observed);
    runner_free(&r);
}

int main(int argc, char **argv)
{
    fake_host host = {.reseed = {KHS_NONE, 0}};
    options o = {.until = 100000000u, .steps = 1000};
    if (argc < 3)
        die("usage: fake_host MODE CONFIG POLICY... [--option value]...");
    parse(argc, argv, &o, &host);
    size_t where = 0;
    khs_status status = khs_config_check(host.config, host.config_size, &where);
    if (!strcmp(o.mode, "check") || status != KHS_OK_STATUS) {
        printf("%d %zu\n", status, where);
        return 0;
    }
    if (!strcmp(o.mode, "sizes")) {
        printf("%zu %zu %zu\n", khs_core_size(), khs_state_size(host.config), khs_ring_size(host.config));
        return 0;
    }
    if (!host_fits(&host, 256u << 20))
        die("too large to be run here");
    if (o.memory)
        host.image = read_file(o.memory, &host.image_size);
    if (o.inputs)
        load_inputs(&host, o.inputs);
    if (o.script)
        load_script(&host, o.script);
    if (!strcmp(o.mode, "run"))
        run(&host, &o);
    else if (!strcmp(o.mode, "fuzz"))
        fuzz(&host, o.seed, o.steps, o.until, o.statistics);
    else if (!strcmp(o.mode, "corrupt"))
        corrupt(&host, o.seed, o.steps);
    else if (!strcmp(o.mode, "bench"))
        bench(&host, (uint32_t)o.bench[0], o.bench + 1, o.until, o.steps);
    else
        die("no mode %s", o.mode);
    return 0;
}
