/* Drives the core: the loop that every host has, with everything checked on the way. */
#include "host.h"

#include <string.h>

static void take_events(runner *r)
{
    const uint8_t *records;
    size_t size = khs_events(r->host.core, &records);
    audit_events(&r->audit, records, size);
    if (r->sink)
        r->sink(r->context, records, size);
    khs_drained(r->host.core);
}

void runner_drain(runner *r)
{
    take_events(r);
    audit_counters(&r->audit);
}

/* What reaches a partition at its tick, whatever it does; events of others do not stop it. */
static uint64_t first_event_of(const khs_core *core, uint32_t partition)
{
    const khs_partition *p = &core->partitions[partition];
    const uint64_t own[] = {p->wait.until, p->timer_at, p->release_at, p->deadline_at};
    khs_input input;
    uint64_t first = khs_port_input(core->port, core->state->input_index, &input) ? input.tick : UINT64_MAX;
    for (uint32_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i] < first)
            first = own[i];
    return first;
}

static void check_run(const runner *r, khs_action action, uint64_t until)
{
    const khs_core *core = r->host.core;
    uint64_t now = khs_now(core);
    khs_partition_view view;
    khs_view(core, action.partition, &view);
    if (action.partition != core->state->slot_partition || view.mode == KHS_MODE_IDLE || action.budget == 0 ||
        core->partitions[action.partition].wait.kind != WAIT_NONE || core->partitions[action.partition].debt)
        die("partition %u must not run", action.partition);
    if (now + action.budget > core->state->slot_end || now + action.budget > until ||
        now + action.budget > first_event_of(core, action.partition))
        die("partition %u may run too long", action.partition);
}

khs_action_kind runner_step(runner *r, uint64_t until)
{
    khs_core *core = r->host.core;
    uint64_t before = khs_now(core);
    khs_action action = khs_next(core, until);
    if (khs_now(core) > until && khs_now(core) != before)
        die("time passed %llu", (unsigned long long)until);
    if (action.kind == KHS_RUN) {
        check_run(r, action, until);
        khs_return why = r->host.random ? random_run(&r->host, action.partition, action.budget)
                                        : guest_run(&r->host, action.partition, action.budget);
        khs_returned(core, &why);
        r->returns++;
    }
    audit_state(&r->host);
    if (action.kind == KHS_DRAIN)
        runner_drain(r);
    return action.kind;
}

/* Until tick `until`, or until the module stops. */
khs_action_kind runner_until(runner *r, uint64_t until)
{
    khs_action_kind kind;
    do
        kind = runner_step(r, until);
    while (kind == KHS_RUN || kind == KHS_DRAIN);
    runner_drain(r);
    return kind;
}

void runner_boot(runner *r, const fake_host *system, size_t ring_size)
{
    r->host = *system;
    audit_begin(&r->audit, &r->host);
    khs_status status = host_boot(&r->host, ring_size);
    if (status != KHS_OK_STATUS)
        die("boot: status %d", status);
    audit_state(&r->host);
}

void runner_free(runner *r)
{
    audit_end(&r->audit);
    host_free(&r->host);
}
