/* Baselines for measuring: the same image on Unicorn alone. */
#define _GNU_SOURCE
#include <time.h>

#include "internal.h"

static uint64_t host_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_trap(uc_engine *uc, uint32_t number, void *data)
{
    (void)number;
    *(bool *)data = true;
    uc_emu_stop(uc);
}

static void on_syscall(uc_engine *uc, void *data)
{
    on_trap(uc, 0, data);
}

/* Takes the partition to its entry point as a start does. */
static khs_cpu *fresh(khs_host *host, uint32_t partition)
{
    if (partition >= host->config->partitions.count || host->device_count > 0)
        return NULL; /* devices need the kernel's time */
    khs_port_start(host, partition, false);
    khs_cpu *cpu = host->cpus[partition];
    return cpu != NULL && cpu->main != NULL ? cpu : NULL;
}

/* What the least possible kernel would do at a trap. */
static uint64_t bare_call(const khs_isa *arch, uc_engine *uc)
{
    uint64_t pc = 0, number = 0, argument = 0, zero = 0;
    uc_reg_read(uc, arch->pc, &pc);
    uc_reg_read(uc, arch->trapped[0], &number);
    uc_reg_read(uc, arch->arguments[0], &argument);
    uc_reg_write(uc, arch->results[0], &zero);
    return pc;
}

static bool bare_hooks(const khs_isa *arch, uc_engine *uc, bool *trapped)
{
    uc_hook hook;
    if (arch == &khs_isa_x64)
        return uc_hook_add(uc, &hook, UC_HOOK_INSN, (void *)on_syscall, trapped, 1, 0, UC_X86_INS_SYSCALL) == UC_ERR_OK;
    return uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_trap, trapped, 1, 0) == UC_ERR_OK;
}

static void run_bare(khs_cpu *cpu, uc_engine **uc, bool *trapped, uint64_t traps, khs_host_timing *timing)
{
    const khs_isa *arch = cpu->host->arch;
    uint64_t began = host_ns();
    while (timing->traps < traps) {
        *trapped = false;
        cpu->reason = KHS_AT_BUDGET; /* nothing to find out when it comes back */
        khs_engine_start(cpu, uc);
        if (*uc == NULL || !*trapped)
            break;
        cpu->pc = bare_call(arch, *uc);
        timing->traps++;
    }
    timing->ns = host_ns() - began;
}

bool khs_host_bench_raw(khs_host *host, uint32_t partition, uint64_t traps, bool same_tlb, khs_host_timing *timing)
{
    bool trapped = false;
    khs_cpu *cpu = fresh(host, partition);
    *timing = (khs_host_timing){0};
    if (cpu == NULL)
        return false;
    uc_engine *uc = khs_engine_open(cpu, same_tlb ? KHS_ENGINE_BARE_TLB : KHS_ENGINE_BARE);
    bool fine = uc != NULL && bare_hooks(host->arch, uc, &trapped) && khs_guard_enter(&host->guard);
    if (fine) {
        uc_context_save(cpu->main, cpu->transfer);
        uc_context_restore(uc, cpu->transfer);
        run_bare(cpu, &uc, &trapped, traps, timing);
        khs_guard_leave(&host->guard);
    }
    if (uc != NULL)
        uc_close(uc);
    return fine;
}

/* Windows of one partition back to back; a hypercall does not end its window. */
static void run_windows(khs_cpu *cpu, uint64_t traps, uint64_t window, khs_host_timing *timing)
{
    uint64_t began = host_ns(), left = window;
    while (timing->traps < traps) {
        khs_return why;
        khs_cpu_run(cpu, left, &why);
        timing->ticks += why.ticks;
        left -= why.ticks;
        if (why.kind == KHS_RET_FAULT)
            break;
        if (why.kind == KHS_RET_HYPERCALL) {
            timing->traps++;
            khs_port_result(cpu->host, cpu->partition, 0, 0);
        }
        if (left == 0) {
            timing->windows++;
            left = window;
        }
    }
    timing->ns = host_ns() - began;
}

bool khs_host_bench_windows(khs_host *host, uint32_t partition, uint64_t traps, uint64_t window, khs_host_timing *timing)
{
    khs_cpu *cpu = window ? fresh(host, partition) : NULL;
    *timing = (khs_host_timing){0};
    if (cpu == NULL || !khs_guard_enter(&host->guard))
        return false;
    run_windows(cpu, traps, window, timing);
    khs_guard_leave(&host->guard);
    return true;
}
