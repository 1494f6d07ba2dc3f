/* Virtual interrupts: one level, a pending bit each, masked in the handler; the
 * interrupted context stays in the kernel. */
#include "internal.h"

static bool blocking(const khs_partition *p)
{
    return p->wait.kind != WAIT_NONE && p->wait.kind != WAIT_WINDOW;
}

static bool deliverable(const khs_partition *p)
{
    return (p->irq_pending & ~p->irq_mask) != 0 && p->handler != 0 && !p->in_handler;
}

/* An interrupt that can be delivered ends khs_wait, and other waits if asked. */
static void end_wait(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    if (!deliverable(p) || p->wait.kind == WAIT_NONE || p->wait.kind == WAIT_FAULT)
        return;
    if (p->wait.kind == WAIT_WINDOW)
        khs_wake_with(core, partition, KHS_CODE_OK);
    else if (p->irq_flags & KHS_INTERRUPTS_WAITS)
        khs_wait_end(core, partition, KHS_CODE_INTERRUPTED);
}

void khs_interrupt_raise(khs_core *core, uint32_t partition, uint32_t irq)
{
    core->partitions[partition].irq_pending |= 1u << irq;
    end_wait(core, partition);
}

/* Called when the partition is about to run. */
void khs_interrupt_deliver(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    if (!deliverable(p) || blocking(p))
        return;
    uint32_t ready = p->irq_pending & ~p->irq_mask, irq = 0;
    while (!(ready >> irq & 1u))
        irq++;
    p->irq_pending &= ~(1u << irq);
    p->in_handler = 1;
    khs_emit(core, partition, &(khs_record){.type = KHS_EV_INTERRUPT, .flags = KHS_VISIBLE, .code = irq});
    khs_port_interrupt(core->port, partition, p->handler, irq);
}

khs_outcome khs_do_timer_set(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_partition *p = &core->partitions[self];
    uint32_t first = (uint32_t)a[0], period = (uint32_t)a[1];
    if (first == 0 && period != 0)
        return khs_done(KHS_CODE_INVALID_PARAM);
    p->timer_at = first ? core->state->now + khs_us(core, first) : KHS_NEVER;
    p->timer_period = khs_us(core, period);
    khs_due_at(core, p->timer_at);
    return khs_done(KHS_CODE_OK);
}

khs_outcome khs_do_interrupt_attach(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_partition *p = &core->partitions[self];
    if (a[1] & ~(uint64_t)KHS_INTERRUPTS_WAITS)
        return khs_done(KHS_CODE_INVALID_PARAM);
    if (a[0] != 0 && khs_span(core, self, a[0], 1, KHS_X) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    p->handler = a[0];
    p->irq_flags = (uint32_t)a[1];
    return khs_done(KHS_CODE_OK);
}

khs_outcome khs_do_interrupt_mask(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_partition *p = &core->partitions[self];
    khs_outcome outcome = {.value = p->irq_mask};
    p->irq_mask = (uint32_t)a[0];
    return outcome;
}

khs_outcome khs_do_interrupt_return(khs_core *core, uint32_t self, const uint64_t *a)
{
    (void)a;
    khs_partition *p = &core->partitions[self];
    if (!p->in_handler)
        return khs_done(KHS_CODE_INVALID_MODE);
    p->in_handler = 0;
    khs_port_interrupt_return(core->port, self);
    return (khs_outcome){.kind = OUT_NO_RESULT};
}
