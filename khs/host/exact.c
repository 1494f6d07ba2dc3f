/* Exact windows. The main engine counts whole blocks in its block hook and stops before
 * the block that does not fit; the twin then runs the remaining instructions one by one
 * (it has a hook on each, which costs it speed) and hands the state back. Both share
 * the partition's memory; only the registers move. */
#include "internal.h"

static uc_engine **twin_of(khs_cpu *cpu)
{
    return khs_is_watched(cpu) ? &cpu->watcher : &cpu->twin;
}

static bool to_twin(khs_cpu *cpu)
{
    uc_engine **twin = twin_of(cpu);
    if (*twin == NULL)
        *twin = khs_engine_open(cpu, khs_is_watched(cpu) ? KHS_ENGINE_WATCHER : KHS_ENGINE_TWIN);
    if (*twin == NULL) {
        khs_engine_refuse(cpu, KHS_DETAIL_OPEN);
        return false;
    }
    uc_context_save(cpu->main, cpu->transfer);
    uc_context_restore(*twin, cpu->transfer);
    return true;
}

static void from_twin(khs_cpu *cpu)
{
    uc_engine *twin = *twin_of(cpu);
    if (twin == NULL)
        return; /* lost to an abort: so is the state */
    uc_context_save(twin, cpu->transfer);
    uc_context_restore(cpu->main, cpu->transfer);
}

/* The twin stops behind an instruction that touched what is watched, unless that one faulted. */
static void after_touch(khs_cpu *cpu)
{
    if (cpu->reason == KHS_AT_FAULT && cpu->fault.pc == cpu->touch.pc)
        cpu->touch.any = false;
    else
        cpu->reason = KHS_AT_WATCH;
}

/* Instruction by instruction, for at most `limit` ticks. */
static void on_twin(khs_cpu *cpu, uint64_t limit)
{
    cpu->aside = cpu->left > limit ? cpu->left - limit : 0;
    cpu->left -= cpu->aside;
    khs_engine_start(cpu, twin_of(cpu));
    if (KHS_RARE(cpu->touch.any))
        after_touch(cpu);
    if (cpu->reason == KHS_AT_BUDGET && cpu->aside > 0)
        cpu->reason = KHS_RUNNING_ON;
    cpu->left += cpu->aside;
    cpu->aside = 0;
}

/* The main engine stopped before a block: too long for the budget, or not all of it is
 * known. As many bytes hold at most as many instructions. */
static void before_block(khs_cpu *cpu)
{
    uint64_t limit = cpu->unknown > 0 ? cpu->unknown : cpu->left;
    if (cpu->unknown > 0 && cpu->host->arch->prepare != NULL)
        cpu->host->arch->prepare(cpu);
    cpu->unknown = 0;
    cpu->reason = KHS_RUNNING_ON;
    if (!to_twin(cpu))
        return;
    on_twin(cpu, limit);
    from_twin(cpu);
}

/* QEMU translates x86 blocks over page ends and reports code that runs off executable
 * memory at the start of the block, nothing of it executed. */
static bool ran_off(const khs_cpu *cpu)
{
    return cpu->reason == KHS_AT_FAULT && cpu->fault.kind == KHS_FAULT_EXECUTE &&
           cpu->fault.address != cpu->fault.pc && cpu->host->arch->known != NULL;
}

/* Does what comes before the instruction that really faults, in blocks that do not reach
 * as far as the edge: all that is known at once, then instruction by instruction. Exits cut
 * blocks, so the twin's are thrown away afterwards. */
static void up_to_edge(khs_cpu *cpu)
{
    uint64_t known = cpu->host->arch->known(cpu, cpu->pc, cpu->fault.address);
    uint64_t here[KHS_EXITS_SPARE], *exits = cpu->exits->at ? cpu->exits->at : here;
    uint32_t always = cpu->exits->count, count = always;
    bool single = known == cpu->pc;
    if (!single)
        exits[count++] = known;
    for (uint64_t i = 1; single && i <= KHS_EXITS_SPARE; i++)
        exits[count++] = cpu->pc + i;
    cpu->reason = KHS_RUNNING_ON;
    if (!to_twin(cpu))
        return;
    uc_engine **twin = twin_of(cpu);
    uc_ctl_set_exits(*twin, exits, count);
    on_twin(cpu, single ? 1 : cpu->left);
    if (*twin != NULL) {
        uc_ctl_set_exits(*twin, exits, always);
        uc_ctl_flush_tb(*twin);
    }
    from_twin(cpu);
}

/* The main engine stopped within a block, at an access to a page of which a debugger watches some
 * bytes. That instruction begins again on the twin, which sees what it touches. */
static void past_guard(khs_cpu *cpu)
{
    uint64_t pc = 0;
    uc_reg_read(cpu->main, cpu->host->arch->pc, &pc);
    if (pc >= cpu->now.pc && pc < khs_block_end(&cpu->now))
        cpu->left += cpu->now.ticks - cpu->host->arch->distance(cpu, cpu->now.pc, pc);
    cpu->pc = pc;
    cpu->reason = KHS_RUNNING_ON;
    if (!to_twin(cpu))
        return;
    on_twin(cpu, 1);
    from_twin(cpu);
}

/* The main engine stopped before an instruction that accesses a device. */
static void before_access(khs_cpu *cpu)
{
    uint64_t pc = cpu->pc;
    cpu->unknown = 0;
    cpu->sited = false;
    cpu->reason = KHS_RUNNING_ON;
    if (!to_twin(cpu))
        return;
    cpu->repeats = true;
    on_twin(cpu, 1);
    cpu->repeats = false;
    from_twin(cpu);
    khs_access_done(cpu, pc);
}

static void advance(khs_cpu *cpu)
{
    uint64_t left = cpu->left, pc = cpu->pc;
    if (KHS_RARE(khs_at_break(cpu))) {
        cpu->reason = KHS_AT_BREAK;
        return;
    }
    cpu->site = NULL;
    khs_engine_start(cpu, &cpu->main);
    if (cpu->reason == KHS_AT_BUDGET && cpu->left > 0)
        before_block(cpu);
    if (KHS_RARE(cpu->reason == KHS_AT_GUARD))
        past_guard(cpu);
    if (KHS_RARE(cpu->reason == KHS_AT_DEVICE))
        before_access(cpu);
    if (KHS_RARE(ran_off(cpu)))
        up_to_edge(cpu);
    if (KHS_RARE(cpu->reason == KHS_RUNNING_ON && cpu->left == left && cpu->pc == pc))
        khs_engine_refuse(cpu, KHS_DETAIL_STUCK);
}

/* A fault of the instruction to come, found by looking ahead, when a block is translated.
 * Others are of an instruction that was begun within the budget. */
static bool is_ahead(const khs_latch *fault)
{
    return fault->kind == KHS_FAULT_EXECUTE || fault->kind == KHS_FAULT_ISA || fault->kind == KHS_FAULT_ALIGNMENT;
}

uint32_t khs_cpu_number(khs_cpu *cpu)
{
    uint64_t number = 0; /* Unicorn writes registers in their own width */
    void *values[] = {&number, &cpu->flags};
    uc_reg_read_batch(cpu->main, cpu->host->arch->trapped, values, cpu->host->arch->trapped_count);
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static void report(khs_cpu *cpu, khs_return *why)
{
    *why = (khs_return){.kind = KHS_RET_BUDGET, .ticks = cpu->budget - cpu->left};
    switch (cpu->reason) {
    case KHS_AT_TRAP: {
        why->kind = KHS_RET_HYPERCALL;
        why->number = khs_cpu_number(cpu);
        break;
    }
    case KHS_AT_WAIT:
        why->kind = KHS_RET_WAIT;
        break;
    case KHS_AT_FAULT:
        if (cpu->left == 0 && cpu->budget > 0 && is_ahead(&cpu->fault)) {
            cpu->refused = cpu->fault; /* it belongs to the next window */
            break;
        }
        why->kind = KHS_RET_FAULT;
        why->fault.kind = cpu->fault.kind;
        why->fault.detail = cpu->fault.detail;
        why->fault.pc = cpu->fault.pc;
        why->fault.address = cpu->fault.address;
        break;
    default:
        break;
    }
}

void khs_cpu_run(khs_cpu *cpu, uint64_t budget, khs_return *why)
{
    cpu->left = cpu->budget = budget;
    cpu->reason = KHS_RUNNING_ON;
    cpu->cut = false;
    cpu->now = (khs_block){.pc = cpu->pc};
    cpu->touch.any = false;
    if (KHS_RARE(cpu->refused.kind != 0) && khs_at_break(cpu)) {
        cpu->reason = KHS_AT_BREAK;
    } else if (KHS_RARE(cpu->refused.kind != 0)) {
        cpu->reason = KHS_AT_FAULT;
        cpu->fault = cpu->refused;
    }
    while (cpu->reason == KHS_RUNNING_ON && cpu->left > 0)
        advance(cpu);
    report(cpu, why);
}
