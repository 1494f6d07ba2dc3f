/* At which tick an access to a device happens. Main engines count whole blocks as they enter them,
 * and Unicorn does not tell which instruction of a block makes an access. So the engine stops before
 * that instruction, and the twin carries it out, where each is counted by itself. An address where
 * that happened some times becomes a site: a hook on it says so from then on, and one on the
 * instruction behind it that it is over, so that the main engine can go on. */
#include <stdlib.h>

#include "device.h"

#define TIMES 3u /* on the twin before an address becomes a site */
#define NOWHERE UINT64_MAX

/* Ticks of the block that was entered last, from `pc` to its end. */
static uint64_t rest_of_block(khs_cpu *cpu, uint64_t pc)
{
    return cpu->now.ticks - cpu->host->arch->distance(cpu, cpu->now.pc, pc);
}

static uint64_t rest_of_block_at(khs_cpu *cpu, khs_site *site)
{
    if (site->block != cpu->now.pc) {
        site->block = cpu->now.pc;
        site->distance = cpu->host->arch->distance(cpu, cpu->now.pc, site->pc);
    }
    return cpu->now.ticks - site->distance;
}

/* ------------------------------------------------------------ sites */

/* Before the instruction: what is left is exact from here on. */
static void stop_here(khs_cpu *cpu, uc_engine *uc, const khs_site *site)
{
    uc_emu_stop(uc);
    cpu->site = NULL;
    if (cpu->reason != KHS_RUNNING_ON)
        return;
    cpu->reason = KHS_AT_BUDGET;
    cpu->left += rest_of_block(cpu, site->pc);
    cpu->pc = site->pc;
    cpu->cut = false;
}

/* NULL if there is no site there, nor room for one. */
static khs_site *site_at(khs_cpu *cpu, uint64_t pc)
{
    khs_site *slots = cpu->sites->slots;
    uint32_t i = pc % KHS_SITE_SLOTS;
    while (slots[i].used && slots[i].pc != pc)
        i = (i + 1) % KHS_SITE_SLOTS;
    return slots[i].used || cpu->sites->count < KHS_SITES ? &slots[i] : NULL;
}

static void on_site(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    khs_cpu *cpu = data;
    khs_site *site = site_at(cpu, pc);
    (void)size;
    if (KHS_RARE(cpu->reason != KHS_RUNNING_ON))
        return;
    if (KHS_RARE(cpu->cut)) {
        stop_here(cpu, uc, site);
        return;
    }
    cpu->site = site->accesses ? site : NULL;
    cpu->site_left = cpu->left;
}

bool khs_site_is(khs_cpu *cpu, uint64_t pc)
{
    const khs_site *site = cpu->sites != NULL ? site_at(cpu, pc) : NULL;
    return site != NULL && site->used && site->accesses;
}

/* They share a site, or there is no address between them. */
static bool touch(const khs_site_run *a, const khs_site_run *b)
{
    return a->first <= b->last + 1 && b->first <= a->last + 1;
}

/* Makes `run` as long as it is with those that it touches. */
static void extend(const khs_sites *sites, khs_site_run *run)
{
    for (uint32_t i = 0; i < sites->run_count; i++) {
        const khs_site_run *other = &sites->runs[i];
        if (!touch(other, run) || (other->first >= run->first && other->last <= run->last))
            continue;
        run->first = other->first < run->first ? other->first : run->first;
        run->last = other->last > run->last ? other->last : run->last;
        i = UINT32_MAX; /* now it may touch others */
    }
}

/* One for all sites from `first` to `last`, and for those before and behind that follow without a gap. */
static bool hook(khs_cpu *cpu, uint64_t first, uint64_t last)
{
    khs_sites *sites = cpu->sites;
    khs_site_run run = {.first = first, .last = last};
    extend(sites, &run);
    if (uc_hook_add(cpu->main, &run.hook, UC_HOOK_CODE, (void *)on_site, cpu, run.first, run.last) != UC_ERR_OK)
        return false;
    for (uint32_t i = 0; i < sites->run_count;)
        if (touch(&sites->runs[i], &run)) {
            uc_hook_del(cpu->main, sites->runs[i].hook);
            sites->runs[i] = sites->runs[--sites->run_count];
        } else {
            i++;
        }
    sites->runs[sites->run_count++] = run;
    return uc_ctl_remove_cache(cpu->main, run.first, run.last + 1) == UC_ERR_OK;
}

static khs_site *take(khs_cpu *cpu, uint64_t pc)
{
    khs_site *site = site_at(cpu, pc);
    if (site == NULL || site->used)
        return site;
    *site = (khs_site){.pc = pc, .block = NOWHERE, .used = true};
    cpu->sites->count++;
    return site;
}

bool khs_site_add(khs_cpu *cpu, uint64_t pc, uint32_t size, bool is_port)
{
    if (cpu->sites == NULL && (cpu->sites = calloc(1, sizeof *cpu->sites)) == NULL)
        return false;
    uint64_t end = pc + size;
    khs_site *behind = take(cpu, end), *site = take(cpu, pc);
    if (behind == NULL || site == NULL)
        return false;
    if (is_port)
        site->accesses = hook(cpu, end, end);
    else if (cpu->host->arch == &khs_isa_armv7)
        site->accesses = hook(cpu, pc, end);
    else /* in the midst of it another may begin, which must not have a hook */
        site->accesses = hook(cpu, pc, pc) && hook(cpu, end, end);
    return site->accesses;
}

/* So many addresses are remembered until they become sites; the others stay on the twin. */
static void seen(khs_cpu *cpu, uint64_t pc, uint32_t size)
{
    khs_seen *seen = &cpu->seen[pc / 2 % KHS_SEEN];
    if (seen->pc != pc)
        *seen = (khs_seen){.pc = pc};
    bool is_x86 = cpu->host->arch != &khs_isa_armv7;
    if (++seen->times == TIMES && (!is_x86 || (khs_x86_may_hook(cpu, pc) && khs_x86_may_hook(cpu, pc + size))))
        khs_site_add(cpu, pc, size, false);
}

void khs_sites_forget(khs_cpu *cpu)
{
    free(cpu->sites);
    cpu->sites = NULL;
    cpu->site = NULL;
    for (uint32_t i = 0; i < KHS_SEEN; i++)
        cpu->seen[i] = (khs_seen){0};
}

/* ------------------------------------------------------------ accesses */

bool khs_access_begin(khs_cpu *cpu, uc_engine *uc, bool sound, uint64_t *behind)
{
    if (cpu->reason != KHS_RUNNING_ON)
        return false; /* runs on after a stop */
    if (uc != cpu->main) {
        *behind = cpu->left + cpu->aside;
        cpu->sited = sound;
        return true;
    }
    if (sound && cpu->site != NULL && cpu->site_left == cpu->left) {
        *behind = cpu->left + rest_of_block_at(cpu, cpu->site) - 1;
        return true;
    }
    uc_emu_stop(uc);
    cpu->reason = KHS_AT_DEVICE;
    cpu->kept = cpu->left;
    cpu->left = 0;
    return false;
}

bool khs_access_begin_port(khs_cpu *cpu, uc_engine *uc, uint64_t *behind)
{
    uint64_t pc = 0;
    bool is_told = cpu->site != NULL && cpu->site_left == cpu->left; /* it is behind another, too */
    if (uc == cpu->main && cpu->reason == KHS_RUNNING_ON && !is_told &&
        uc_reg_read(uc, cpu->host->arch->pc, &pc) == UC_ERR_OK && khs_site_is(cpu, pc)) {
        cpu->site = site_at(cpu, pc);
        cpu->site_left = cpu->left;
    }
    return khs_access_begin(cpu, uc, true, behind);
}

void khs_access_cut(khs_cpu *cpu, uc_engine *uc, uint64_t behind, uint64_t allowed)
{
    cpu->budget -= behind - allowed;
    if (uc != cpu->main) {
        uint64_t left = allowed < cpu->left ? allowed : cpu->left;
        cpu->aside = allowed - left;
        cpu->left = left;
        return;
    }
    /* Less than nothing, if it is within the block: the hook behind the access then stops, where
     * it is counted from the right place again. */
    uint64_t in_block = rest_of_block_at(cpu, cpu->site) - 1;
    cpu->left = allowed - in_block;
    cpu->site_left = cpu->left;
    cpu->cut = allowed < in_block;
}

void khs_access_stopped(khs_cpu *cpu, uint64_t pc)
{
    cpu->pc = pc;
    cpu->left = cpu->kept + rest_of_block(cpu, pc);
}

void khs_access_done(khs_cpu *cpu, uint64_t pc)
{
    if (cpu->main != NULL && cpu->now.pc == pc && cpu->reason != KHS_AT_FAULT && cpu->sited)
        seen(cpu, pc, cpu->now.size);
}
