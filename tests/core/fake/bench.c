/* What one hypercall costs the host: khs_next, khs_returned, and nothing of a CPU. */
#include "host.h"

#include <string.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Boots and lets the scripts run to tick `start`, then partition 0 makes `count` hypercalls
 * of ten ticks each. */
void bench(fake_host *system, uint32_t number, const uint64_t *arguments, uint64_t start, uint64_t count)
{
    runner r = {0};
    runner_boot(&r, system, 1u << 20);
    runner_until(&r, start);
    khs_core *core = r.host.core;
    memcpy(r.host.cpus[0].arguments, arguments, sizeof r.host.cpus[0].arguments);
    uint64_t made = 0;
    double begin = seconds();
    while (made < count) {
        khs_action action = khs_next(core, UINT64_MAX);
        khs_return why = {.kind = KHS_RET_BUDGET, .ticks = action.budget};
        if (action.kind == KHS_RUN && action.partition == 0 && action.budget >= 10) {
            why = (khs_return){.kind = KHS_RET_HYPERCALL, .number = number, .ticks = 10};
            made++;
        }
        if (action.kind == KHS_RUN)
            khs_returned(core, &why);
        else if (action.kind == KHS_DRAIN)
            khs_drained(core);
        else
            die("bench: stopped");
    }
    printf("%.1f\n", (seconds() - begin) * 1e9 / (double)count);
    runner_free(&r);
}
