/* One partition's processor: its engines' lives. */
#include <stdlib.h>

#include "internal.h"

void khs_cpu_close_engines(khs_cpu *cpu)
{
    if (cpu->main != NULL)
        uc_close(cpu->main);
    if (cpu->twin != NULL)
        uc_close(cpu->twin);
    if (cpu->watcher != NULL)
        uc_close(cpu->watcher);
    cpu->main = cpu->twin = cpu->watcher = NULL;
    cpu->tainted = false;
}

bool khs_cpu_open(khs_cpu *cpu)
{
    if (cpu->main == NULL && cpu->host->abandoned > cpu->host->abandoned_most) {
        khs_engine_refuse(cpu, KHS_DETAIL_EXHAUSTED);
        return false;
    }
    if (cpu->main == NULL) {
        cpu->main = khs_engine_open(cpu, KHS_ENGINE_MAIN);
        cpu->hooked_count = 0;
        khs_sites_forget(cpu);
    }
    if (cpu->main != NULL && cpu->transfer == NULL && uc_context_alloc(cpu->main, &cpu->transfer) != UC_ERR_OK)
        cpu->transfer = NULL;
    if (cpu->main == NULL || cpu->transfer == NULL)
        khs_engine_refuse(cpu, KHS_DETAIL_OPEN);
    return cpu->main != NULL && cpu->transfer != NULL;
}

bool khs_cpu_start(khs_cpu *cpu)
{
    const khs_cfg_partition *cfg = &cpu->host->partitions[cpu->partition];
    cpu->refused = (khs_latch){0};
    cpu->pc = cfg->entry;
    if (cpu->tainted)
        khs_cpu_close_engines(cpu);
    if (!khs_cpu_open(cpu))
        return false;
    uc_context_restore(cpu->main, cpu->host->initial);
    cpu->host->arch->enter(cpu, cfg->entry, cfg->stack_top, cfg->start_info, true);
    return true;
}

void khs_cpu_close(khs_cpu *cpu)
{
    if (cpu == NULL)
        return;
    khs_cpu_close_engines(cpu);
    khs_context_free(cpu->transfer);
    khs_context_free(cpu->interrupted);
    khs_sites_forget(cpu);
    free(cpu);
}
