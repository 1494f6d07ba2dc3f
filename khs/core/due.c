/* What becomes due at a tick: inputs, timeouts, timers, release points, deadlines. */
#include "internal.h"

static uint64_t due_of(const khs_partition *p)
{
    uint64_t due = khs_min(p->wait.until, p->timer_at);
    return khs_min(due, khs_min(p->release_at, p->deadline_at));
}

/* The first release point after `now`: phase + n x period. */
void khs_period_begin(khs_core *core, uint32_t partition)
{
    const khs_cfg_partition *cfg = &core->cfg_partitions[partition];
    khs_partition *p = &core->partitions[partition];
    if (cfg->period == 0)
        return;
    uint64_t now = core->state->now;
    p->release_at = cfg->phase;
    if (now >= cfg->phase)
        p->release_at += ((now - cfg->phase) / cfg->period + 1) * cfg->period;
    core->state->next_due = 0; /* to be found anew, and the next cut */
}

static void release(khs_core *core, uint32_t partition)
{
    const khs_cfg_partition *cfg = &core->cfg_partitions[partition];
    khs_partition *p = &core->partitions[partition];
    if (cfg->deadline)
        p->deadline_at = p->release_at + cfg->deadline;
    p->release_at += cfg->period;
    p->overrun = p->wait.kind != WAIT_PERIOD;
    if (!p->overrun)
        khs_wake_with(core, partition, KHS_CODE_OK);
}

static void deadline(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    p->deadline_at = KHS_NEVER;
    p->deadlines_missed++;
    khs_health(core, partition, KHS_ERROR_DEADLINE_MISSED, 0, NULL, 0);
}

static void timer(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    p->timer_at = p->timer_period ? p->timer_at + p->timer_period : KHS_NEVER;
    khs_interrupt_raise(core, partition, KHS_IRQ_TIMER);
}

/* A deadline equal to the period is checked before the release that would hide it. */
static void partition_due(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    uint64_t now = core->state->now;
    if (p->wait.until <= now)
        khs_wait_end(core, partition, KHS_CODE_TIMED_OUT);
    if (p->deadline_at <= now)
        deadline(core, partition);
    if (core->state->stop_cause)
        return;
    if (p->release_at <= now)
        release(core, partition);
    if (p->timer_at <= now)
        timer(core, partition);
}

/* Takes the next outside input if it is due. */
static bool input_due(khs_core *core)
{
    khs_input input;
    if (!khs_port_input(core->port, core->state->input_index, &input) || input.tick > core->state->now)
        return false;
    core->state->input_index++;
    if (input.target < core->cfg->inputs.count)
        khs_input_arrived(core, &input);
    return true;
}

void khs_due_at(khs_core *core, uint64_t tick)
{
    core->state->next_due = khs_min(core->state->next_due, tick);
}

void khs_inputs_changed(khs_core *core)
{
    core->state->next_due = 0;
}

/* A partition's own events reach it at their tick, whatever it does. */
uint64_t khs_cut(const khs_core *core, uint32_t partition)
{
    return khs_min(core->state->next_cut, due_of(&core->partitions[partition]));
}

/* When a deadline of this partition may stop the module, at the earliest. */
static uint64_t stop_of(const khs_core *core, uint32_t partition)
{
    const khs_cfg_partition *cfg = &core->cfg_partitions[partition];
    const khs_partition *p = &core->partitions[partition];
    if (!cfg->deadline || !khs_health_may_stop(core, partition))
        return KHS_NEVER;
    uint64_t next = p->release_at == KHS_NEVER ? KHS_NEVER : p->release_at + cfg->deadline;
    return khs_min(p->deadline_at, next);
}

/* Handles what is due now and finds the next due tick. All inputs of a tick come before
 * its timeouts, or one partition's input would decide what another's meets. One input a
 * step, so that a step appends a bounded number of events. */
void khs_due(khs_core *core)
{
    khs_state *s = core->state;
    if (input_due(core))
        return;
    for (uint32_t i = 0; i < core->cfg->partitions.count && !s->stop_cause; i++)
        if (due_of(&core->partitions[i]) <= s->now)
            partition_due(core, i);
    khs_input input;
    s->next_due = s->next_cut = khs_port_input(core->port, s->input_index, &input) ? input.tick : KHS_NEVER;
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++) {
        khs_due_at(core, due_of(&core->partitions[i]));
        s->next_cut = khs_min(s->next_cut, stop_of(core, i));
    }
}
