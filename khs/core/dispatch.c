/* Hypercall dispatch: the one place where a handler's outcome is carried out and charged. */
#include "ring.h"

/* What the table says of a hypercall, and who handles it. */
typedef struct row {
    khs_handler *handler;
    uint8_t arguments, values, lengths, privilege;
} row;

#define ROW(name, ...) {khs_do_##name, __VA_ARGS__},
static const row rows[KHS_HYPERCALLS] = {KHS_HYPERCALL_ROWS(ROW)};

khs_outcome khs_do_nop(khs_core *core, uint32_t self, const uint64_t *a)
{
    (void)core, (void)self, (void)a;
    return khs_done(KHS_CODE_OK);
}

khs_outcome khs_do_wait(khs_core *core, uint32_t self, const uint64_t *a)
{
    (void)a;
    return khs_block(core, self, (khs_waiting){.kind = WAIT_WINDOW, .until = KHS_NEVER});
}

khs_outcome khs_do_period_wait(khs_core *core, uint32_t self, const uint64_t *a)
{
    (void)a;
    khs_partition *p = &core->partitions[self];
    if (core->cfg_partitions[self].period == 0)
        return khs_done(KHS_CODE_INVALID_CONFIG);
    if (p->mode != KHS_MODE_NORMAL)
        return khs_done(KHS_CODE_INVALID_MODE);
    if (!p->overrun) { /* else the deadline is that of a release whose own work never ran */
        p->deadlines_met += p->deadline_at != KHS_NEVER;
        p->deadline_at = KHS_NEVER;
    }
    return khs_block(core, self, (khs_waiting){.kind = WAIT_PERIOD, .until = KHS_NEVER});
}

/* Whether arguments that should have 32 bits are wider, as x64 registers can be. */
static uint32_t width(const row *r, const uint64_t *a)
{
    uint32_t wide = 0;
    for (uint32_t i = 0; i < r->arguments; i++)
        wide |= (uint32_t)(a[i] > UINT32_MAX) << i;
    wide &= r->values;
    if (wide == 0)
        return KHS_CODE_OK;
    return wide & ~(uint32_t)r->lengths ? KHS_CODE_INVALID_PARAM : KHS_CODE_BAD_LENGTH;
}

/* Privilege first, then the width of the arguments; the handler asks KSS before it acts. */
static uint32_t admit(const khs_core *core, uint32_t self, const row *r, const uint64_t *a)
{
    uint64_t bits = 0;
    if (r->privilege & ~core->cfg_partitions[self].privileges)
        return KHS_CODE_INVALID_CONFIG;
    for (uint32_t i = 0; i < r->arguments; i++)
        bits |= a[i];
    return bits > UINT32_MAX ? width(r, a) : KHS_CODE_OK;
}

static void charge(khs_core *core, uint32_t self, const khs_outcome *outcome)
{
    core->partitions[self].debt += core->cfg->cost_call + khs_copy_cost(core, outcome->copied) +
                                   (uint64_t)outcome->verdicts * core->cfg->cost_verdict;
}

static void record(khs_core *core, uint32_t self, uint32_t number, const khs_outcome *outcome,
                   const uint64_t *a, uint32_t count)
{
    khs_append(core, self,
               &(khs_record){.type = KHS_EV_HYPERCALL, .flags = KHS_VISIBLE,
                             .number = (uint16_t)khs_min(number, UINT16_MAX),
                             .code = outcome->kind == OUT_BLOCKED ? KHS_NONE : outcome->code,
                             .value = outcome->value, .args = (uint16_t)count, .arg = a,
                             .data = outcome->data, .size = outcome->data ? outcome->value : 0,
                             .info = outcome->info, .info_size = outcome->info_size});
}

static void after(khs_core *core, uint32_t self, const khs_outcome *outcome)
{
    switch (outcome->after) {
    case AFTER_MODE: {
        khs_subject initiator = outcome->target == self ? khs_einit(core) : khs_subject_of(core, self);
        khs_partition_mode(core, outcome->target, outcome->mode, initiator, KHS_START_PARTITION_RESTART);
        break;
    }
    case AFTER_HEALTH:
        khs_health(core, self, KHS_ERROR_APPLICATION, outcome->error, outcome->data, outcome->copied);
        break;
    case AFTER_STOP:
        khs_module_stop(core, KHS_STOP_PRIVILEGED);
        break;
    }
}

static void hypercall(khs_core *core, uint32_t self, uint32_t number)
{
    khs_partition *p = &core->partitions[self];
    uint64_t a[KHS_EVENT_ARGS_MAX]; /* as many as the table says count */
    a[0] = number; /* unknown: wider than the record's `number` */
    const row *r = number < KHS_HYPERCALLS ? &rows[number] : NULL;
    uint32_t count = r ? r->arguments : 1;
    if (r && count)
        khs_port_arguments(core->port, self, count, a);
    p->hypercalls++;
    uint32_t code = r ? admit(core, self, r, a) : KHS_CODE_UNKNOWN;
    khs_outcome outcome = code == KHS_CODE_OK ? r->handler(core, self, a) : khs_done(code);
    charge(core, self, &outcome);
    record(core, self, number, &outcome, a, count);
    if (outcome.kind == OUT_DONE)
        khs_port_result(core->port, self, outcome.code, outcome.value);
    if (outcome.kind == OUT_BLOCKED) {
        p->wait.number = number;
        khs_due_at(core, p->wait.until);
    }
    if (outcome.after != AFTER_NONE)
        after(core, self, &outcome);
}

static uint32_t health_error(const khs_core *core, uint32_t self, const khs_return *why)
{
    const khs_cfg_partition *cfg = &core->cfg_partitions[self];
    switch (why->fault.kind) {
    case KHS_FAULT_READ:
    case KHS_FAULT_WRITE:
        return why->fault.address - cfg->stack_guard < cfg->stack_guard_size ? KHS_ERROR_STACK_OVERFLOW
                                                                             : KHS_ERROR_MEMORY_FAULT;
    case KHS_FAULT_EXECUTE:
    case KHS_FAULT_ALIGNMENT:
        return KHS_ERROR_MEMORY_FAULT;
    case KHS_FAULT_DIVIDE:
        return KHS_ERROR_NUMERIC;
    case KHS_FAULT_ENGINE:
        return KHS_ERROR_HARDWARE_FAULT;
    default:
        return KHS_ERROR_ILLEGAL_INSTRUCTION;
    }
}

/* A fault that the table ignores or logs would repeat for ever at no cost in ticks: the
 * partition is then halted until someone restarts it. */
static void fault(khs_core *core, uint32_t self, const khs_return *why)
{
    khs_partition *p = &core->partitions[self];
    uint64_t arg[] = {why->fault.pc, why->fault.address, why->fault.detail};
    uint32_t restarts = p->restarts;
    p->faults++;
    /* charged like a hypercall: a guest whose first instruction faults restarts in finite time */
    p->debt += 1u + core->cfg->cost_call;
    khs_emit(core, self,
             &(khs_record){.type = KHS_EV_FAULT, .flags = KHS_VISIBLE, .code = why->fault.kind, .args = 3, .arg = arg});
    khs_health(core, self, health_error(core, self, why), 0, NULL, 0);
    if (p->mode != KHS_MODE_IDLE && p->restarts == restarts)
        p->wait = (khs_waiting){.kind = WAIT_FAULT, .number = KHS_NONE, .until = KHS_NEVER};
}

uint64_t khs_returned(khs_core *core, const khs_return *why)
{
    khs_state *s = core->state;
    s->entered_at = s->now + why->ticks;
    s->entered.kind = why->kind; /* not copied whole: what was just stored in parts is slow to load whole */
    s->entered.number = why->number;
    if (why->kind == KHS_RET_FAULT)
        s->entered.fault = why->fault;
    return s->entered_at;
}

KHS_LANDMARK void khs_enter(khs_core *core, uint32_t partition)
{
    khs_return *why = &core->state->entered;
    core->state->entered_at = KHS_NEVER;
    switch (why->kind) {
    case KHS_RET_HYPERCALL:
        hypercall(core, partition, why->number);
        break;
    case KHS_RET_FAULT:
        fault(core, partition, why);
        khs_zero(&why->fault, sizeof why->fault);
        break;
    case KHS_RET_WAIT:
        khs_emit(core, partition, &(khs_record){.type = KHS_EV_WAIT, .flags = KHS_VISIBLE});
        core->partitions[partition].wait = (khs_waiting){.kind = WAIT_WINDOW, .number = KHS_NONE, .until = KHS_NEVER};
        break;
    default:
        break;
    }
    why->kind = why->number = 0; /* equal moments have equal states, however they were reached */
}

void khs_view(const khs_core *core, uint32_t partition, khs_partition_view *view)
{
    const khs_partition *p = &core->partitions[partition];
    bool ran = partition == core->state->slot_partition; /* perhaps further than is charged so far */
    *view = (khs_partition_view){
        .mode = p->mode,
        .sid = p->sid,
        .blocked = p->wait.kind == WAIT_NONE ? KHS_NONE : p->wait.number,
        .restarts = p->restarts,
        .halted = p->wait.kind == WAIT_FAULT,
        .ticks = p->ticks + (ran ? khs_now(core) - core->state->now : 0),
        .idle_ticks = p->idle_ticks,
        .hypercalls = p->hypercalls,
        .granted = p->granted,
        .denied = p->denied,
        .faults = p->faults,
        .deadlines_met = p->deadlines_met,
        .deadlines_missed = p->deadlines_missed,
    };
}
