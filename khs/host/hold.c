/* Points at which a debugger holds a system; see hold.h. The core's own types are used here, no Unicorn. */
#include "hold.h"

#include "../core/internal.h"

void khs_deliver(khs_core *core)
{
    const khs_state *s = core->state;
    if (s->slot_partition == KHS_NONE || s->stop_cause)
        return;
    const khs_partition *p = &core->partitions[s->slot_partition];
    if (p->irq_pending && p->debt == 0 && khs_runnable(p))
        khs_interrupt_deliver(core, s->slot_partition);
}

void khs_watch(khs_core *core, bool on)
{
    core->watched = on;
}

/* The tick at which the guest came back is its own, so all of it is charged. */
khs_action khs_hold(khs_core *core)
{
    khs_state *s = core->state;
    while (s->entered_at != KHS_NEVER && s->next_due < s->entered_at) {
        if (core->ring_size - core->ring_used < core->ring_reserve)
            return (khs_action){.kind = KHS_DRAIN};
        khs_catch_up(core);
    }
    if (s->entered_at != KHS_NEVER) {
        core->partitions[s->slot_partition].ticks += s->entered_at - s->now;
        s->now = s->entered_at;
    }
    return (khs_action){.kind = KHS_PAUSE};
}

bool khs_raise(khs_core *core, uint32_t partition, uint32_t irq)
{
    if (core->partitions[partition].mode == KHS_MODE_IDLE)
        return false;
    khs_interrupt_raise(core, partition, irq);
    return true;
}

bool khs_set_mode(khs_core *core, uint32_t partition, uint32_t mode)
{
    bool too_early = mode == KHS_MODE_WARM_START && core->partitions[partition].mode == KHS_MODE_COLD_START;
    if (mode >= KHS_MODE_NORMAL || too_early || core->state->stop_cause)
        return false;
    khs_partition_mode(core, partition, mode, khs_einit(core), KHS_START_HM_RESTART);
    return true;
}

bool khs_tell_fault(khs_core *core, uint32_t partition, uint32_t number, const char *text, uint32_t size)
{
    if (core->ring_size - core->ring_used < core->ring_reserve)
        return false;
    if (!core->state->stop_cause)
        khs_health(core, partition, KHS_ERROR_DEVICE_FAULT, number, (const uint8_t *)text, size);
    return true;
}

uint32_t khs_queued(const khs_core *core, uint32_t channel, uint32_t reader)
{
    if (channel >= core->cfg->channels.count || reader >= core->cfg_channels[channel].readers.count ||
        core->cfg_channels[channel].kind != KHS_QUEUING)
        return 0;
    uint32_t index = core->cfg_channels[channel].readers.first + reader;
    return ((const khs_queue *)(core->base + core->reader_at[index]))->fill;
}

uint32_t khs_window(const khs_core *core)
{
    return core->state->slot_partition;
}

uint64_t khs_window_end(const khs_core *core)
{
    return core->state->slot_end;
}
