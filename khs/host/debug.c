/* Running a system to points that a debugger asks for. Whatever it asks, what happens is the same:
 * guests are only stopped between two instructions, and going on from there changes nothing.
 * Breakpoints are found by the hooks of blocks, see exact.c; nothing is written into code. */
#include <stdlib.h>
#include <string.h>

#include "hold.h"
#include "internal.h"

static khs_stops *stops_of(const khs_host *host, uint32_t partition)
{
    return host->debug.stops == NULL ? NULL : &host->debug.stops[partition];
}

/* ------------------------------------------------------------ what hooks ask */

/* The first breakpoint from `pc` on. */
static uint64_t first_break(const khs_stops *stops, uint64_t pc)
{
    uint32_t low = 0, high = stops->break_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stops->breaks[middle] < pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stops->break_count ? stops->breaks[low] : KHS_HOST_NEVER;
}

bool khs_is_break(const khs_cpu *cpu, uint64_t pc)
{
    return pc - cpu->break_low < cpu->break_span && first_break(cpu->stops, pc) == pc;
}

bool khs_has_break(const khs_cpu *cpu, uint64_t pc, uint64_t size)
{
    return cpu->break_span != 0 && first_break(cpu->stops, pc) - pc < size;
}

uint32_t khs_watched_page(const khs_cpu *cpu, uint64_t page)
{
    uint32_t access = 0;
    page &= ~(uint64_t)(KHS_PAGE - 1);
    for (uint32_t i = 0; i < cpu->stops->watch_count; i++) {
        const khs_host_watch *watch = &cpu->stops->watches[i];
        if (page - watch->address < watch->size || watch->address - page < KHS_PAGE)
            access |= watch->access;
    }
    return access;
}

void khs_on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *data)
{
    khs_cpu *cpu = data;
    uint32_t access = type == UC_MEM_WRITE ? KHS_HOST_WRITES : KHS_HOST_READS;
    (void)uc, (void)value;
    if (cpu->touch.any || cpu->stops == NULL)
        return;
    for (uint32_t i = 0; i < cpu->stops->watch_count; i++) {
        const khs_host_watch *watch = &cpu->stops->watches[i];
        bool overlaps = address - watch->address < watch->size || watch->address - address < (uint64_t)size;
        if (!overlaps || !(watch->access & access))
            continue;
        uint64_t first = address > watch->address ? address : watch->address;
        cpu->touch = (khs_touch){.any = true, .watch = i, .address = first, .pc = cpu->now.pc};
        return;
    }
}

static bool is_noted(const khs_debug *debug, const khs_event *event)
{
    for (uint32_t i = 0; i < debug->noted_count; i++) {
        const khs_host_noted *noted = &debug->noted[i];
        if (event->type == noted->type && (noted->partition == KHS_HOST_ANY || noted->partition == event->partition) &&
            (noted->code == KHS_HOST_ANY || noted->code == event->code) &&
            !(event->type == KHS_EV_VERDICT && event->value != 0))
            return true;
    }
    return false;
}

bool khs_debug_notes(khs_host *host)
{
    khs_debug *debug = &host->debug;
    const uint8_t *records;
    uint64_t size = khs_events(host->core, &records);
    if (!debug->notes || debug->found != KHS_HOST_NEVER)
        return debug->found != KHS_HOST_NEVER;
    while (debug->looked < size && debug->found == KHS_HOST_NEVER) {
        const khs_event *event = (const void *)(records + debug->looked);
        if (is_noted(debug, event))
            debug->found = debug->looked;
        debug->looked += event->size;
    }
    return debug->found != KHS_HOST_NEVER;
}

/* ------------------------------------------------------------ arming */

void khs_debug_arm(khs_cpu *cpu)
{
    const khs_stops *stops = cpu->host->debug.armed ? stops_of(cpu->host, cpu->partition) : NULL;
    bool was_watched = khs_is_watched(cpu);
    cpu->stops = stops;
    if (cpu->main != NULL && (was_watched || khs_is_watched(cpu))) {
        uc_ctl_flush_tlb(cpu->main);
        memset(cpu->blocks, 0, sizeof cpu->blocks); /* what is known of them was enough without */
    }
    cpu->calls = stops != NULL ? stops->entries | stops->results : 0;
    cpu->break_low = cpu->break_span = 0;
    if (stops != NULL && stops->break_count > 0) {
        cpu->break_low = stops->breaks[0];
        cpu->break_span = stops->breaks[stops->break_count - 1] - stops->breaks[0] + 1;
    }
}

static void arm(khs_host *host, bool on)
{
    if (host->debug.armed == on)
        return;
    host->debug.armed = on;
    for (uint32_t i = 0; i < host->config->partitions.count; i++)
        if (host->cpus[i] != NULL)
            khs_debug_arm(host->cpus[i]);
}

void khs_debug_disarm(khs_host *host)
{
    arm(host, false);
}

/* ------------------------------------------------------------ stopping */

/* Whether a stop here, with everything done, is behind the point of departure. */
static bool has_left(const khs_host *host)
{
    const khs_host_goal *goal = &host->debug.goal;
    uint64_t tick = khs_now(host->core);
    return tick > goal->from || (tick == goal->from && !goal->settled);
}

static void stop(khs_host *host, uint32_t cause, uint32_t number, uint64_t address)
{
    khs_debug *debug = &host->debug;
    uint64_t now = khs_now(host->core);
    debug->halt = (khs_host_halt){.cause = cause, .number = number, .address = address,
                                  .settled = cause != KHS_CAUSE_CALL && cause != KHS_CAUSE_HELD, .partition = KHS_NONE};
    if (cause >= KHS_CAUSE_STEP && cause <= KHS_CAUSE_RETURN)
        debug->halt.partition = host->next.partition;
    debug->target = now + (debug->fault_at == now);
}

/* Takes the system from where a stop was found to where it is well-defined. False if the ring is full. */
static bool settle(khs_host *host)
{
    khs_debug *debug = &host->debug;
    khs_action next = {.kind = KHS_PAUSE};
    if (!debug->halt.settled)
        next = khs_hold(host->core);
    else
        do
            next = khs_next(host->core, debug->target);
        while (next.kind == KHS_PAUSE && khs_now(host->core) < debug->target);
    if (next.kind == KHS_DRAIN)
        return false;
    if (debug->halt.settled)
        khs_region_write(host);
    if (debug->halt.settled && next.kind == KHS_PAUSE && khs_frames(host->core) < debug->goal.frames) {
        khs_devices_look(host, debug->target);
        khs_deliver(host->core);
    }
    debug->halt.tick = debug->target;
    if (debug->halt.partition == KHS_NONE)
        debug->halt.partition = khs_window(host->core);
    return true;
}

/* ------------------------------------------------------------ running */

/* Runs the guest that is next; whether it is to stop then. */
static bool run_guest(khs_host *host)
{
    khs_debug *debug = &host->debug;
    uint32_t partition = host->next.partition;
    khs_cpu *cpu = host->cpus[partition];
    bool steps = debug->steps == KHS_HOST_ANY || debug->steps == partition;
    if (cpu != NULL && cpu->called != 0) {
        uint32_t number = (uint32_t)(cpu->called - 1);
        if (cpu->stops != NULL && khs_stops_at(cpu->stops->results, number) && has_left(host)) {
            stop(host, KHS_CAUSE_RETURN, number, 0);
            return true;
        }
        cpu->called = 0;
    }
    if (cpu != NULL)
        cpu->skip = cpu->break_span != 0 && !has_left(host) && khs_is_break(cpu, cpu->pc);
    if (steps)
        host->next.budget = 1;
    khs_host_guest(host);
    if (cpu != NULL && cpu->reason == KHS_AT_BREAK)
        stop(host, KHS_CAUSE_BREAKPOINT, 0, cpu->pc);
    else if (cpu != NULL && cpu->reason == KHS_AT_WATCH)
        stop(host, KHS_CAUSE_WATCHPOINT, cpu->touch.watch, cpu->touch.address);
    else if (cpu != NULL && cpu->reason == KHS_AT_TRAP && cpu->stops != NULL &&
             khs_stops_at(cpu->stops->entries, (uint32_t)(cpu->called - 1)))
        stop(host, KHS_CAUSE_CALL, (uint32_t)(cpu->called - 1), 0);
    else if (cpu != NULL && cpu->reason == KHS_AT_TRAP && debug->holds)
        stop(host, KHS_CAUSE_HELD, (uint32_t)(cpu->called - 1), 0);
    else if (steps)
        stop(host, KHS_CAUSE_STEP, 0, 0);
    return debug->halt.cause != 0;
}

/* What the kernel says is next; whether it is to stop there. */
static bool find_next(khs_host *host)
{
    const khs_host_goal *goal = &host->debug.goal;
    khs_host_settle(host);
    if (!host->is_next_known) {
        if (khs_frames(host->core) >= goal->frames) {
            stop(host, KHS_CAUSE_END, 0, 0);
            return true;
        }
        khs_host_find(host, goal->until);
    }
    host->is_next_known = false;
    if (khs_debug_notes(host))
        stop(host, KHS_CAUSE_EVENT, 0, 0);
    else if (host->next.kind == KHS_STOPPED)
        stop(host, KHS_CAUSE_END, 0, 0);
    else if (host->next.kind == KHS_PAUSE && khs_now(host->core) >= goal->until)
        stop(host, KHS_CAUSE_REACHED, 0, 0);
    return host->debug.halt.cause != 0;
}

/* Until a stop is found; false if that is to wait. */
static bool run(khs_host *host)
{
    uint64_t began = khs_host_ns();
    for (;;) {
        if (khs_host_is_due(host)) {
            host->spent = 0;
            if (atomic_exchange(&host->stop, false)) {
                stop(host, KHS_CAUSE_INTERRUPT, 0, 0);
                return true;
            }
            if (khs_host_ns() - began >= KHS_YIELD_NS)
                return false;
        }
        if (find_next(host))
            return true;
        if (host->next.kind == KHS_DRAIN)
            return false;
        if (host->next.kind == KHS_RUN && run_guest(host))
            return true;
    }
}

void khs_host_debug(khs_host *host, const khs_host_goal *goal, khs_host_halt *halt)
{
    khs_debug *debug = &host->debug;
    *halt = (khs_host_halt){.cause = KHS_CAUSE_END, .found = KHS_HOST_NEVER, .partition = KHS_NONE};
    if (!host->booted)
        return;
    if (host->taken)
        khs_drained(host->core);
    host->taken = false;
    khs_devices_discard(host);
    if (!khs_guard_enter(&host->guard))
        return;
    bool stops = !(goal->move & KHS_HOST_PASSING);
    debug->goal = *goal;
    debug->steps = goal->steps;
    debug->holds = goal->move & KHS_HOST_HOLDING;
    debug->looked = khs_events(host->core, &(const uint8_t *){NULL});
    debug->found = KHS_HOST_NEVER;
    debug->notes = stops && debug->noted_count > 0;
    debug->every = debug->holds || debug->steps != KHS_NONE ? UINT32_MAX : 0;
    arm(host, stops);
    khs_watch(host->core, debug->notes);
    host->spent = 0;
    host->is_next_known = false;
    host->running = true;
    if ((debug->halt.cause != 0 || run(host)) && settle(host)) {
        *halt = debug->halt;
        debug->halt.cause = 0;
    } else {
        halt->cause = 0;
    }
    khs_devices_follow(host);
    halt->found = debug->found;
    host->running = debug->notes = false;
    debug->every = 0;
    khs_watch(host->core, false);
    khs_guard_leave(&host->guard);
}

/* ------------------------------------------------------------ setting */

static khs_stops *change(khs_host *host, uint32_t partition)
{
    uint32_t count = host->config->partitions.count;
    if (partition >= count)
        return NULL;
    arm(host, false);
    if (host->debug.stops == NULL)
        host->debug.stops = calloc(count, sizeof *host->debug.stops);
    return stops_of(host, partition);
}

/* Replaces an array by a copy of another. */
static bool replace(void **array, uint32_t *count, const void *from, uint32_t new_count, size_t size)
{
    void *made = NULL;
    if (new_count > 0 && (made = malloc(new_count * size)) == NULL)
        return false;
    if (new_count > 0)
        memcpy(made, from, new_count * size);
    free(*array);
    *array = made;
    *count = new_count;
    return true;
}

bool khs_host_set_breaks(khs_host *host, uint32_t partition, const uint64_t *addresses, uint32_t count)
{
    khs_stops *stops = change(host, partition);
    return stops != NULL && replace((void **)&stops->breaks, &stops->break_count, addresses, count, sizeof *addresses);
}

bool khs_host_set_watches(khs_host *host, uint32_t partition, const khs_host_watch *watches, uint32_t count)
{
    khs_stops *stops = change(host, partition);
    return stops != NULL && replace((void **)&stops->watches, &stops->watch_count, watches, count, sizeof *watches);
}

bool khs_host_set_calls(khs_host *host, uint32_t partition, uint32_t entries, uint32_t results)
{
    khs_stops *stops = change(host, partition);
    if (stops == NULL)
        return false;
    stops->entries = entries;
    stops->results = results;
    return true;
}

bool khs_host_set_noted(khs_host *host, const khs_host_noted *noted, uint32_t count)
{
    return replace((void **)&host->debug.noted, &host->debug.noted_count, noted, count, sizeof *noted);
}

void khs_debug_close(khs_host *host)
{
    for (uint32_t i = 0; host->debug.stops != NULL && i < host->config->partitions.count; i++) {
        free(host->debug.stops[i].breaks);
        free(host->debug.stops[i].watches);
    }
    free(host->debug.stops);
    free(host->debug.noted);
}
