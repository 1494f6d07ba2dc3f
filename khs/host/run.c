/* Running a system: the kernel says what is next, the engine does it, the kernel is told
 * how it went. Most hypercalls end with the caller going on at once; those are carried
 * out inside the engine's hook, without leaving guest code in between. */
#define _GNU_SOURCE
#include <time.h>

#include "internal.h"

/* A run looks for a stop request every so many ticks, about 10 ms on the slowest guest. */
#define STRIDE (4ull * 1000 * 1000)
/* What passing a window or a hypercall costs in host time, as ticks. */
#define ACTION_COST 200u

uint64_t khs_host_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t piece(uint64_t budget)
{
    return budget < STRIDE ? budget : STRIDE;
}

bool khs_host_is_due(const khs_host *host)
{
    return host->spent >= STRIDE || host->is_full || atomic_load_explicit(&host->stop, memory_order_relaxed);
}

/* Tells the kernel. A fault takes the place of an instruction. */
static void tell(khs_host *host, khs_cpu *cpu, const khs_return *why)
{
    bool faulted = why->kind == KHS_RET_FAULT;
    uint64_t tick = khs_returned(host->core, why);
    if (cpu != NULL && (why->ticks > 0 || faulted))
        cpu->last = tick + faulted;
    if (faulted)
        host->debug.fault_at = tick;
    host->spent += why->ticks + ACTION_COST;
}

bool khs_host_trap(khs_cpu *cpu, uc_engine *uc)
{
    khs_host *host = cpu->host;
    if (!host->running || uc != cpu->main || khs_host_is_due(host))
        return false;
    uint32_t number = khs_cpu_number(cpu);
    if (khs_stops_at(cpu->calls | host->debug.every, number))
        return false;
    host->guard.armed = 0; /* a crash of the kernel is none of the engine's */
    cpu->pc = khs_block_end(&cpu->now);
    cpu->site = NULL; /* `left` begins anew */
    cpu->in_hook = true;
    tell(host, cpu, &(khs_return){.kind = KHS_RET_HYPERCALL, .number = number, .ticks = cpu->budget - cpu->left});
    host->next = khs_host_next(host);
    cpu->in_hook = false;
    host->guard.armed = 1;
    bool goes_on = host->next.kind == KHS_RUN && host->next.partition == cpu->partition && !cpu->postponed.any;
    cpu->budget = cpu->left = goes_on ? piece(host->next.budget) : 0;
    if (!goes_on) {
        cpu->called = cpu->postponed.start ? 0 : 1ull + number;
        cpu->reason = KHS_AT_KERNEL;
        uc_emu_stop(uc);
    }
    return true;
}

khs_action khs_host_next(khs_host *host)
{
    khs_action next = khs_next(host->core, host->limit);
    while (KHS_RARE(host->debug.notes) && !khs_debug_notes(host) && next.kind == KHS_PAUSE &&
           khs_now(host->core) < host->limit)
        next = khs_next(host->core, host->limit); /* see hold.h */
    if (next.kind == KHS_PAUSE)
        khs_region_write(host);
    return next;
}

void khs_host_settle(khs_host *host)
{
    if (host->device_count == 0)
        return;
    host->limit = khs_now(host->core);
    host->next = khs_host_next(host);
    host->is_next_known = host->next.kind != KHS_PAUSE || (host->debug.notes && khs_debug_notes(host));
}

void khs_host_find(khs_host *host, uint64_t until)
{
    uint64_t frame_end = khs_frame_end(host->core);
    uint64_t written = khs_region_next(host);
    host->limit = until < frame_end ? until : frame_end;
    host->limit = written < host->limit ? written : host->limit;
    if (host->device_count > 0)
        host->limit = khs_devices_look(host, host->limit);
    host->next = khs_host_next(host);
}

void khs_host_guest(khs_host *host)
{
    khs_return why = {.kind = KHS_RET_FAULT, .fault = {.kind = KHS_FAULT_ENGINE, .detail = KHS_DETAIL_OPEN}};
    uint32_t partition = host->next.partition;
    khs_cpu *cpu = host->cpus[partition];
    if (cpu != NULL)
        khs_cpu_run(cpu, piece(host->next.budget), &why);
    host->is_next_known = cpu != NULL && cpu->reason == KHS_AT_KERNEL;
    if (host->is_next_known)
        khs_port_catch_up(cpu);
    else
        tell(host, cpu, &why);
    if (cpu != NULL && why.kind == KHS_RET_HYPERCALL)
        cpu->called = 1ull + why.number;
}

/* What the guest came back for is dealt with: results so far are those of a tick. */
static uint32_t interrupted(khs_host *host)
{
    khs_action next = {.kind = KHS_PAUSE};
    if (!host->is_next_known)
        next = khs_next(host->core, khs_now(host->core));
    if (next.kind != KHS_DRAIN)
        return KHS_HOST_INTERRUPTED;
    atomic_store(&host->stop, true); /* again, once there is room */
    return KHS_HOST_DRAIN;
}

static uint32_t run(khs_host *host, uint64_t frames, uint64_t until)
{
    uint64_t began = khs_host_ns();
    host->spent = 0;
    host->is_next_known = false;
    for (;;) {
        if (khs_host_is_due(host)) {
            host->spent = 0;
            if (atomic_exchange(&host->stop, false))
                return interrupted(host);
            if (host->is_full || khs_host_ns() - began >= KHS_YIELD_NS)
                return KHS_HOST_YIELDED;
        }
        khs_host_settle(host);
        if (!host->is_next_known) {
            if (khs_frames(host->core) >= frames)
                return KHS_HOST_REACHED;
            khs_host_find(host, until);
            host->spent += ACTION_COST;
        }
        host->is_next_known = false;
        switch (host->next.kind) {
        case KHS_RUN: khs_host_guest(host); break;
        case KHS_DRAIN: return KHS_HOST_DRAIN;
        case KHS_STOPPED: return KHS_HOST_STOPPED;
        default:
            if (khs_now(host->core) >= until)
                return KHS_HOST_REACHED;
        }
    }
}

uint32_t khs_host_run(khs_host *host, uint64_t frames, uint64_t until)
{
    if (!host->booted)
        return KHS_HOST_STOPPED;
    if (host->taken)
        khs_drained(host->core);
    host->taken = false;
    khs_debug_disarm(host);
    if (!khs_guard_enter(&host->guard))
        return KHS_HOST_STOPPED;
    host->running = true;
    uint32_t end = run(host, frames, until);
    khs_devices_follow(host);
    host->running = false;
    khs_guard_leave(&host->guard);
    return end;
}
