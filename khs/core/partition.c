/* Partition modes and restarts (ARINC 653 part 1, 2.3.1.4). */
#include "internal.h"

/* Ends a wait: the hypercall returns when the partition next runs, and its copy is charged. */
void khs_wake(khs_core *core, uint32_t partition, const khs_outcome *outcome)
{
    khs_partition *p = &core->partitions[partition];
    khs_emit(core, partition,
             &(khs_record){.type = KHS_EV_RESUME, .flags = KHS_VISIBLE, .number = (uint16_t)p->wait.number,
                           .code = outcome->code, .value = outcome->value, .data = outcome->data,
                           .size = outcome->data ? outcome->value : 0, .info = outcome->info,
                           .info_size = outcome->info_size});
    if (p->wait.number != KHS_NONE)
        khs_port_result(core->port, partition, outcome->code, outcome->value);
    p->debt += khs_copy_cost(core, outcome->copied);
    p->wait = (khs_waiting){.until = KHS_NEVER};
}

/* The same with nothing but a code. */
void khs_wake_with(khs_core *core, uint32_t partition, uint32_t code)
{
    khs_outcome outcome = khs_done(code);
    khs_wake(core, partition, &outcome);
}

/* What a restart forgets in both kinds: waits, timers, interrupts, handler and what it was to be
 * told, period. What its hypercalls cost stays owed. */
static void forget(khs_partition *p)
{
    p->wait = (khs_waiting){.until = KHS_NEVER};
    p->release_at = p->deadline_at = p->timer_at = KHS_NEVER;
    p->timer_period = 0;
    p->handler = 0;
    p->irq_pending = p->irq_mask = p->irq_flags = p->in_handler = 0;
    p->pending_head = p->pending_fill = p->pending_lost = p->overrun = 0;
}

static void set_mode(khs_core *core, uint32_t partition, uint32_t mode)
{
    khs_partition *p = &core->partitions[partition];
    if (p->mode == mode)
        return;
    khs_emit(core, partition, &(khs_record){.type = KHS_EV_MODE, .code = mode, .value = p->mode});
    p->mode = mode;
}

/* A start under a new SID, judged; denied leaves the partition IDLE. */
static void start(khs_core *core, uint32_t partition, uint32_t mode, khs_subject initiator,
                  uint32_t condition)
{
    khs_partition *p = &core->partitions[partition];
    uint32_t dead = p->sid;
    p->sid = core->state->next_sid++;
    if (!khs_judge(core, KSS_EXECUTE, initiator, khs_subject_of(core, partition), dead, NULL, 0)) {
        kss_release(khs_policy(core), dead);
        p->sid = 0;
        set_mode(core, partition, KHS_MODE_IDLE);
        khs_health(core, partition, KHS_ERROR_START_DENIED, 0, NULL, 0);
        return;
    }
    p->start_condition = condition;
    khs_port_start(core->port, partition, mode == KHS_MODE_WARM_START);
    set_mode(core, partition, mode);
    uint64_t arg[] = {khs_subject_of(core, partition).class_number, initiator.class_number};
    khs_emit(core, partition,
             &(khs_record){.type = KHS_EV_START, .code = mode, .value = condition, .args = 2, .arg = arg});
}

static void stop(khs_core *core, uint32_t partition)
{
    khs_partition *p = &core->partitions[partition];
    kss_release(khs_policy(core), p->sid);
    p->sid = 0;
    set_mode(core, partition, KHS_MODE_IDLE);
}

void khs_partition_mode(khs_core *core, uint32_t partition, uint32_t mode, khs_subject initiator,
                        uint32_t condition)
{
    khs_partition *p = &core->partitions[partition];
    if (mode == KHS_MODE_NORMAL) {
        set_mode(core, partition, mode);
        khs_period_begin(core, partition);
        return;
    }
    khs_calls_end(core, partition);
    khs_queues_empty(core, partition);
    forget(p);
    if (mode == KHS_MODE_IDLE) {
        stop(core, partition);
        return;
    }
    p->restarts++;
    start(core, partition, mode, initiator, condition);
}

void khs_module_stop(khs_core *core, uint32_t cause)
{
    if (core->state->stop_cause)
        return;
    core->state->stop_cause = cause;
    khs_emit(core, KHS_NONE, &(khs_record){.type = KHS_EV_STOP, .code = cause});
}

/* The start chain of KasperskyOS: the kernel itself, Einit, then each partition. */
void khs_partition_boot(khs_core *core)
{
    khs_state *s = core->state;
    s->next_sid = 1;
    s->entered_at = KHS_NEVER;
    s->kernel_sid = s->next_sid++;
    s->einit_sid = s->next_sid++;
    uint32_t count = core->cfg->partitions.count;
    for (uint32_t i = 0; i < count; i++) {
        khs_partition *p = &core->partitions[i];
        *p = (khs_partition){.call.reader = KHS_NONE};
        forget(p);
        for (uint32_t k = 0; k < KHS_RESTART_MEMORY; k++)
            p->restart_ticks[k] = KHS_NEVER;
    }
    uint64_t arg[] = {core->cfg->clock_hz, count};
    khs_emit(core, KHS_NONE, &(khs_record){.type = KHS_EV_BOOT, .code = KHS_TRACE_VERSION, .args = 2, .arg = arg});
    if (!khs_judge(core, KSS_EXECUTE, khs_kernel(core), khs_kernel(core), 0, NULL, 0) ||
        !khs_judge(core, KSS_EXECUTE, khs_kernel(core), khs_einit(core), 0, NULL, 0)) {
        khs_module_stop(core, KHS_STOP_BOOT_DENIED);
        return;
    }
    for (uint32_t i = 0; i < count && !s->stop_cause; i++)
        start(core, i, KHS_MODE_COLD_START, khs_einit(core), KHS_START_BOOT);
}

khs_outcome khs_do_partition_status(khs_core *core, uint32_t self, const uint64_t *a)
{
    const khs_partition *p = &core->partitions[self];
    const khs_cfg_partition *cfg = &core->cfg_partitions[self];
    struct khs_partition_status status = {
        .mode = p->mode,
        .start_condition = p->start_condition,
        .restarts = p->restarts,
        .partition = self,
        .period_ns = khs_ns(core, cfg->period),
        .deadline_ns = khs_ns(core, cfg->deadline),
    };
    return khs_told(core, self, a[0], &status, sizeof status);
}
