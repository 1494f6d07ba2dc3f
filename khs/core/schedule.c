/* Cyclic schedule (ARINC 653 part 1, 2.3.1.3): windows in major frames, not
 * work-conserving. khs_next takes the system from one thing to do to the next. */
#include "internal.h"

static const khs_cfg_schedule *schedule(const khs_core *core)
{
    return &core->cfg_schedules[core->state->schedule];
}

/* The window or gap that begins now. */
static void enter_slot(khs_core *core)
{
    khs_state *s = core->state;
    const khs_cfg_schedule *plan = schedule(core);
    uint64_t offset = s->now - s->frame_start;
    s->slot_partition = KHS_NONE;
    s->slot_end = s->frame_start + plan->major_frame;
    if (s->window >= plan->windows.count)
        return;
    const khs_cfg_window *window = &core->cfg_windows[plan->windows.first + s->window];
    if (window->start > offset) {
        s->slot_end = s->frame_start + window->start;
        return;
    }
    s->window++;
    s->slot_end = s->frame_start + window->start + window->length;
    s->slot_partition = window->partition;
    if (core->partitions[window->partition].wait.kind == WAIT_WINDOW)
        khs_wake_with(core, window->partition, KHS_CODE_OK);
}

/* A frame boundary: here, and only here, schedules and policies change. A policy from outside
 * replaces one that a partition asked for. */
static void enter_frame(khs_core *core)
{
    khs_state *s = core->state;
    uint32_t outside = khs_port_policy_at(core->port, s->frames);
    s->frame_start = s->now;
    s->window = 0;
    if (s->next_schedule != s->schedule) {
        khs_emit(core, KHS_NONE,
                 &(khs_record){.type = KHS_EV_SCHEDULE, .code = s->next_schedule, .value = s->schedule});
        s->schedule = s->next_schedule;
        s->schedule_began = s->now;
    }
    if (outside != KHS_NONE)
        khs_policy_request(core, outside, 0);
    if (s->policy_pending)
        khs_policy_apply(core);
    enter_slot(core);
}

/* Also enters the first window of all: at tick 0 nothing has been entered yet. */
static void leave_slot(khs_core *core)
{
    khs_state *s = core->state;
    if (s->now < s->frame_start + schedule(core)->major_frame) {
        enter_slot(core);
        return;
    }
    s->frames++;
    enter_frame(core);
}

/* Lets time pass up to `limit` without guest code, or says that the guest must run. */
static bool pass(khs_core *core, uint64_t limit)
{
    khs_state *s = core->state;
    if (s->slot_partition == KHS_NONE) {
        s->now = limit;
        return true;
    }
    khs_partition *p = &core->partitions[s->slot_partition];
    if (p->debt) {
        uint64_t room = limit - s->now, paid = khs_min(p->debt, room);
        p->debt -= paid;
        p->ticks += paid;
        s->now += paid;
        if (paid == room)
            return true;
    }
    if (khs_runnable(p))
        return false;
    p->idle_ticks += limit - s->now;
    s->now = limit;
    return true;
}

/* What became due while a guest ran comes before what it asks for. A guest is not stopped for
 * events of others: its windows do not show what timers they have. What is due at the very tick comes
 * behind an instruction that was executed, and before one that faults instead: so it is, too, where
 * the budget ends at this tick. */
void khs_catch_up(khs_core *core)
{
    khs_state *s = core->state;
    bool due = s->next_due < s->entered_at + (s->entered.kind == KHS_RET_FAULT);
    uint64_t tick = due ? s->next_due : s->entered_at;
    if (tick > s->now) {
        core->partitions[s->slot_partition].ticks += tick - s->now;
        s->now = tick;
    }
    if (due)
        khs_due(core);
    else
        khs_enter(core, s->slot_partition);
}

khs_action khs_next(khs_core *core, uint64_t until)
{
    khs_state *s = core->state;
    size_t seen = core->ring_used;
    for (;;) {
        if (core->ring_size - core->ring_used < core->ring_reserve)
            return (khs_action){.kind = KHS_DRAIN};
        if (s->stop_cause)
            return (khs_action){.kind = KHS_STOPPED};
        if (s->entered_at != KHS_NEVER) {
            khs_catch_up(core);
            continue;
        }
        uint64_t limit = khs_min(s->slot_end, until), next = khs_min(limit, s->next_due);
        if (s->now >= next && s->next_due <= s->now) {
            khs_due(core);
            continue;
        }
        if (s->now >= next && s->now >= s->slot_end) {
            leave_slot(core);
            continue;
        }
        if (s->now >= next || (core->watched && core->ring_used > seen))
            return (khs_action){.kind = KHS_PAUSE};
        if (pass(core, next))
            continue;
        if (core->partitions[s->slot_partition].irq_pending)
            khs_interrupt_deliver(core, s->slot_partition);
        if (s->next_due < limit) /* no cut is before what is due */
            limit = khs_min(limit, core->watched ? s->next_due : khs_cut(core, s->slot_partition));
        return (khs_action){.kind = KHS_RUN, .partition = s->slot_partition, .budget = limit - s->now};
    }
}

uint64_t khs_now(const khs_core *core)
{
    const khs_state *s = core->state;
    return s->entered_at == KHS_NEVER ? s->now : s->entered_at;
}
uint64_t khs_frames(const khs_core *core) { return core->state->frames; }
uint32_t khs_schedule(const khs_core *core) { return core->state->schedule; }
bool khs_has_stopped(const khs_core *core) { return core->state->stop_cause != 0; }
uint64_t khs_frame_end(const khs_core *core)
{
    return core->state->frame_start + schedule(core)->major_frame;
}

khs_outcome khs_do_schedule_status(khs_core *core, uint32_t self, const uint64_t *a)
{
    const khs_state *s = core->state;
    /* a request that may be taken back is no business of others */
    bool may = core->cfg_partitions[self].privileges & KHS_PRIV_SCHEDULE_SWITCH;
    struct khs_schedule_status status = {.current = s->schedule,
                                         .next = may ? s->next_schedule : s->schedule,
                                         .began_ns = khs_ns(core, s->schedule_began)};
    return khs_told(core, self, a[0], &status, sizeof status);
}

khs_outcome khs_do_time_get(khs_core *core, uint32_t self, const uint64_t *a)
{
    struct khs_time time = {.ns = khs_ns(core, core->state->now)};
    return khs_told(core, self, a[0], &time, sizeof time);
}
