/* Health monitor (ARINC 653 part 1, 2.4): error x system state -> level and action. */
#include "internal.h"

static const khs_cfg_health *row(const khs_core *core, uint32_t partition, uint32_t error,
                                 uint32_t state)
{
    return &core->cfg_health[(partition * KHS_STATES + state) * KHS_ERRORS + error];
}

/* Restarts are remembered in a ring; the limit is passed when the `restart_limit`-th
 * restart before this one is younger than `restart_within`. */
static bool limit_passed(khs_core *core, uint32_t partition)
{
    const khs_cfg_partition *cfg = &core->cfg_partitions[partition];
    khs_partition *p = &core->partitions[partition];
    if (cfg->restart_within == 0)
        return false;
    if (cfg->restart_limit == 0)
        return true;
    uint64_t oldest = p->restart_ticks[cfg->restart_limit - 1];
    if (oldest != KHS_NEVER && core->state->now - oldest <= cfg->restart_within)
        return true;
    for (uint32_t i = KHS_RESTART_MEMORY - 1; i > 0; i--)
        p->restart_ticks[i] = p->restart_ticks[i - 1];
    p->restart_ticks[0] = core->state->now;
    return false;
}

static void act(khs_core *core, uint32_t partition, uint32_t action)
{
    uint32_t mode = action == KHS_WARM_RESTART ? KHS_MODE_WARM_START : KHS_MODE_COLD_START;
    switch (action) {
    case KHS_WARM_RESTART:
    case KHS_COLD_RESTART:
        khs_partition_mode(core, partition, mode, khs_einit(core), KHS_START_HM_RESTART);
        break;
    case KHS_IDLE_PARTITION:
        khs_partition_mode(core, partition, KHS_MODE_IDLE, khs_einit(core), 0);
        break;
    case KHS_MODULE_STOP:
        khs_module_stop(core, KHS_STOP_HEALTH);
        break;
    } /* ignore, log: nothing else */
}

/* Only errors that leave the partition able to run are of process level: see check.c. */
static bool handled_inside(const khs_core *core, uint32_t partition, uint32_t level)
{
    const khs_partition *p = &core->partitions[partition];
    return level == KHS_LEVEL_PROCESS && p->handler != 0 && p->wait.kind != WAIT_FAULT;
}

static bool restarts(uint32_t action)
{
    return action == KHS_WARM_RESTART || action == KHS_COLD_RESTART;
}

_Static_assert(KHS_HEALTH_DEADLINE_MISSED == KHS_ERROR_DEADLINE_MISSED && KHS_HEALTH_APPLICATION == KHS_ERROR_APPLICATION, "ABI");
_Static_assert(KHS_HEALTH_INPUT_OVERFLOW == KHS_ERROR_INPUT_OVERFLOW && KHS_HEALTH_DEVICE_FAULT == KHS_ERROR_DEVICE_FAULT, "ABI");

/* Keeps an error for the partition's handler, and interrupts for it. */
static void tell_inside(khs_core *core, uint32_t partition, uint32_t error, uint32_t detail,
                        const uint8_t *text, uint32_t size)
{
    khs_partition *p = &core->partitions[partition];
    if (p->pending_fill == KHS_PENDING_MAX) {
        p->pending_lost++;
    } else {
        khs_pending *pending = &p->pending[(p->pending_head + p->pending_fill++) % KHS_PENDING_MAX];
        *pending = (khs_pending){.tick = core->state->now, .error = error, .detail = detail, .length = size};
        khs_copy(pending->text, text, size);
    }
    khs_interrupt_raise(core, partition, KHS_IRQ_ERROR);
}

khs_outcome khs_do_error_status(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_partition *p = &core->partitions[self];
    const khs_pending *oldest = &p->pending[p->pending_head];
    struct khs_error_status status = {.error = oldest->error, .detail = oldest->detail, .lost = p->pending_lost,
                                      .length = oldest->length, .time_ns = khs_ns(core, oldest->tick)};
    if (khs_span(core, self, a[0], sizeof status, KHS_W) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    if (p->pending_fill == 0)
        return khs_done(KHS_CODE_NOT_AVAILABLE);
    khs_copy(status.text, oldest->text, sizeof status.text);
    p->pending_head = (p->pending_head + 1) % KHS_PENDING_MAX;
    p->pending_fill--;
    p->pending_lost = 0;
    return khs_told(core, self, a[0], &status, sizeof status);
}

bool khs_health_may_stop(const khs_core *core, uint32_t partition)
{
    const khs_cfg_health *rows = row(core, partition, 0, 0);
    bool may = core->cfg_partitions[partition].restart_then == KHS_MODULE_STOP;
    for (uint32_t i = 0; i < KHS_STATES * KHS_ERRORS; i++)
        may |= rows[i].action == KHS_MODULE_STOP;
    return may;
}

void khs_health(khs_core *core, uint32_t partition, uint32_t error, uint32_t detail,
                const uint8_t *text, uint32_t size)
{
    khs_partition *p = &core->partitions[partition];
    uint32_t state = p->mode == KHS_MODE_NORMAL ? KHS_RUNNING : KHS_INITIALISING;
    const khs_cfg_health *health = row(core, partition, error, state);
    uint32_t action = health->action;
    if (action == KHS_WARM_RESTART && p->mode == KHS_MODE_COLD_START)
        action = KHS_COLD_RESTART; /* what a warm start keeps is not made yet */
    bool denied_start = error == KHS_ERROR_START_DENIED;
    if (action == KHS_IGNORE && !denied_start)
        return;
    bool inside = handled_inside(core, partition, health->level);
    if (inside)
        action = KHS_LOG;
    else if (restarts(action) && (denied_start || p->mode == KHS_MODE_IDLE))
        action = KHS_IDLE_PARTITION; /* denied again, for ever; who was stopped is not started by a device */
    else if (restarts(action) && limit_passed(core, partition))
        action = core->cfg_partitions[partition].restart_then;
    uint64_t arg[] = {health->level, state, detail};
    khs_emit(core, partition,
             &(khs_record){.type = KHS_EV_HEALTH, .code = error, .value = action, .args = 3, .arg = arg,
                           .data = text, .size = size});
    if (inside)
        tell_inside(core, partition, error, detail, text, size);
    act(core, partition, action);
}
