/* What the core asks of its host (core.h, khs_port_*). `port` is the khs_host. */
#include <stdlib.h>

#include "internal.h"

bool khs_port_input(void *port, uint64_t index, khs_input *input)
{
    const khs_host *host = port;
    if (index >= host->input_count)
        return false;
    *input = host->inputs[index];
    return true;
}

uint8_t *khs_port_region(void *port, uint32_t region)
{
    const khs_host *host = port;
    return host->memory.regions[region].base;
}

const void *khs_port_policy(void *port, uint32_t index, size_t *size)
{
    const khs_host *host = port;
    if (index >= host->policy_count)
        return NULL;
    *size = host->policies[index].size;
    return host->policies[index].data;
}

uint32_t khs_port_policy_at(void *port, uint64_t frame)
{
    const khs_host *host = port;
    for (uint64_t i = 0; i < host->swap_count; i++)
        if (host->swaps[i].frame == frame)
            return host->swaps[i].policy;
    return KHS_NONE;
}

static void reset_memory(khs_host *host, uint32_t partition, bool warm)
{
    khs_slice slice = host->partitions[partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        uint32_t region = host->maps[i].region, flags = host->regions[region].flags;
        if (!(flags & KHS_REGION_SHARED) && !(warm && (flags & KHS_REGION_KEEP)))
            khs_memory_reset(&host->memory, region);
    }
}

khs_cpu *khs_cpu_of(khs_host *host, uint32_t partition)
{
    khs_cpu *cpu = host->cpus[partition];
    if (cpu != NULL)
        return cpu;
    cpu = calloc(1, sizeof *cpu);
    if (cpu == NULL)
        return NULL;
    cpu->host = host;
    cpu->partition = partition;
    cpu->exits = &host->exits[partition];
    khs_debug_arm(cpu);
    return host->cpus[partition] = cpu;
}

void khs_port_start(void *port, uint32_t partition, bool warm)
{
    khs_host *host = port;
    reset_memory(host, partition, warm);
    khs_devices_start(host, partition);
    khs_cpu *cpu = khs_cpu_of(host, partition);
    if (cpu == NULL)
        return;
    cpu->called = 0; /* and never comes back */
    if (cpu->in_hook)
        cpu->postponed = (khs_postponed){.any = true, .start = true};
    else
        khs_cpu_start(cpu); /* what fails here is a fault when it is to run */
}

/* A CPU whose registers mean something. */
static khs_cpu *live(void *port, uint32_t partition)
{
    khs_cpu *cpu = ((khs_host *)port)->cpus[partition];
    return cpu != NULL && cpu->main != NULL ? cpu : NULL;
}

void khs_port_arguments(void *port, uint32_t partition, uint32_t count, uint64_t *arguments)
{
    khs_cpu *cpu = live(port, partition);
    void *values[6];
    for (uint32_t i = 0; i < count; i++) {
        arguments[i] = 0; /* Unicorn writes registers in their own width */
        values[i] = &arguments[i];
    }
    if (cpu != NULL)
        uc_reg_read_batch(cpu->main, cpu->host->arch->arguments, values, (int)count);
}

void khs_port_result(void *port, uint32_t partition, uint32_t code, uint32_t value)
{
    khs_cpu *cpu = live(port, partition);
    if (cpu != NULL)
        cpu->host->arch->set_result(cpu, code, value);
}

void khs_port_interrupt(void *port, uint32_t partition, uint64_t handler, uint32_t irq)
{
    khs_cpu *cpu = live(port, partition);
    uint64_t sp = 0;
    if (cpu == NULL || cpu->refused.kind == KHS_FAULT_ENGINE)
        return; /* it cannot run at all */
    if (cpu->in_hook) {
        cpu->postponed.any = cpu->postponed.interrupt = true;
        cpu->postponed.handler = handler;
        cpu->postponed.irq = irq;
        return;
    }
    if (cpu->interrupted == NULL && uc_context_alloc(cpu->main, &cpu->interrupted) != UC_ERR_OK) {
        cpu->interrupted = NULL;
        khs_engine_refuse(cpu, KHS_DETAIL_OPEN);
        return;
    }
    uc_context_save(cpu->main, cpu->interrupted);
    cpu->interrupted_pc = cpu->pc;
    cpu->interrupted_refused = cpu->refused; /* a fault of the next instruction comes after the handler */
    cpu->refused = (khs_latch){0};
    uc_reg_read(cpu->main, cpu->host->arch->sp, &sp);
    cpu->host->arch->enter(cpu, handler, sp, irq, false);
}

static void restore(khs_cpu *cpu)
{
    uc_context_restore(cpu->main, cpu->interrupted);
    cpu->pc = cpu->interrupted_pc;
    cpu->refused = cpu->interrupted_refused;
}

void khs_port_interrupt_return(void *port, uint32_t partition)
{
    khs_cpu *cpu = live(port, partition);
    khs_devices_return(port, partition);
    if (cpu == NULL || cpu->interrupted == NULL)
        return; /* nothing was ever saved */
    if (cpu->in_hook)
        cpu->postponed.any = cpu->postponed.interrupt_return = true;
    else
        restore(cpu);
}

void khs_port_catch_up(khs_cpu *cpu)
{
    khs_postponed todo = cpu->postponed;
    cpu->postponed = (khs_postponed){0};
    if (todo.interrupt_return)
        restore(cpu);
    if (todo.start)
        khs_cpu_start(cpu);
    if (todo.interrupt) /* the kernel delivers it last, when the guest is about to run */
        khs_port_interrupt(cpu->host, cpu->partition, todo.handler, todo.irq);
}
