/* Loops that measure the policy VM, for kss.bench: what a call from Python costs would hide it. Part
 * of the shared library alone. */
#define _GNU_SOURCE
#include <time.h>

#include "../vm/kss.h"

/* sepol_compute_av of libsepol, whose headers need not be there. */
typedef int compute_av(uint32_t source, uint32_t target, uint16_t class, uint32_t requested, uint32_t *decision);

double kss_bench_judge(kss_policy *policy, const kss_event *events, uint32_t count, uint32_t repeats,
                       uint32_t *granted);
double kss_bench_look_up(const uint32_t *table, uint32_t repeats);
double kss_bench_compute_av(compute_av *ask, uint32_t source, uint32_t target, uint16_t class, uint32_t requested,
                            uint32_t *decision, uint32_t repeats);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The events in turn, again and again: nanoseconds a verdict, and how many were granted. The first turn
 * is not measured: it brings them, fresh from the caller, into the caches. */
double kss_bench_judge(kss_policy *policy, const kss_event *events, uint32_t count, uint32_t repeats,
                       uint32_t *granted)
{
    uint32_t next = 0;
    *granted = 0;
    for (uint32_t i = 0; i < count; i++)
        kss_judge(policy, &events[i]);
    double began = now();
    for (uint32_t i = 0; i < repeats; i++) {
        *granted += kss_judge(policy, &events[next]).granted;
        next = next + 1 < count ? next + 1 : 0;
    }
    return (now() - began) / repeats;
}

/* Look-ups in a table, each of which needs the one before; nanoseconds each. */
double kss_bench_look_up(const uint32_t *table, uint32_t repeats)
{
    uint32_t at = 0;
    double began = now();
    for (uint32_t i = 0; i < repeats; i++)
        at = table[at];
    double took = (now() - began) / repeats;
    return at == UINT32_MAX ? 0 : took; /* keeps the loop */
}

/* Decisions of another engine, all the same; nanoseconds each, 0 if one failed. */
double kss_bench_compute_av(compute_av *ask, uint32_t source, uint32_t target, uint16_t class, uint32_t requested,
                            uint32_t *decision, uint32_t repeats)
{
    int failed = 0;
    double began = now();
    for (uint32_t i = 0; i < repeats; i++)
        failed |= ask(source, target, class, requested, decision);
    return failed ? 0 : (now() - began) / repeats;
}
