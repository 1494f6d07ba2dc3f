/* Looking at a system from outside, and changing it. */
#include <string.h>

#include "hold.h"
#include "internal.h"

void khs_host_status_get(const khs_host *host, khs_host_status *status)
{
    *status = (khs_host_status){.partitions = host->config->partitions.count, .abandoned = host->abandoned};
    if (!host->booted)
        return;
    status->tick = khs_now(host->core);
    status->frames = khs_frames(host->core);
    status->schedule = khs_schedule(host->core);
    status->stopped = khs_has_stopped(host->core);
}

bool khs_host_view(const khs_host *host, uint32_t partition, khs_partition_view *view)
{
    if (!host->booted || partition >= host->config->partitions.count)
        return false;
    khs_view(host->core, partition, view);
    return true;
}

uint32_t khs_host_window(const khs_host *host, uint64_t *end, uint64_t *frame_end)
{
    *end = *frame_end = 0;
    if (!host->booted)
        return KHS_NONE;
    *end = khs_window_end(host->core);
    *frame_end = khs_frame_end(host->core);
    return khs_window(host->core);
}

uint64_t khs_host_frame_began(const khs_host *host)
{
    const khs_cfg_schedule *schedules = (const void *)((const uint8_t *)host->config + host->config->schedules.offset);
    return host->booted ? khs_frame_end(host->core) - schedules[khs_schedule(host->core)].major_frame : 0;
}

uint32_t khs_host_queued(const khs_host *host, uint32_t channel, uint32_t reader)
{
    return host->booted ? khs_queued(host->core, channel, reader) : 0;
}

uint64_t khs_host_last(const khs_host *host, uint32_t partition)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < host->config->partitions.count; i++)
        if (host->cpus[i] != NULL && (partition == KHS_HOST_ANY || partition == i) && host->cpus[i]->last > last)
            last = host->cpus[i]->last;
    return last;
}

bool khs_host_set_mode(khs_host *host, uint32_t partition, uint32_t mode)
{
    if (!host->booted || partition >= host->config->partitions.count)
        return false;
    if (host->taken)
        khs_drained(host->core);
    host->taken = false;
    return khs_set_mode(host->core, partition, mode);
}

/* ------------------------------------------------------------ registers */

/* A CPU whose registers mean something. */
static khs_cpu *live(const khs_host *host, uint32_t partition)
{
    khs_cpu *cpu = partition < host->config->partitions.count ? host->cpus[partition] : NULL;
    return cpu != NULL && cpu->main != NULL ? cpu : NULL;
}

uint32_t khs_host_registers(khs_host *host, uint32_t partition, uint64_t *registers)
{
    const khs_isa *arch = host->arch;
    khs_cpu *cpu = live(host, partition);
    if (cpu == NULL)
        return 0;
    for (uint32_t i = 0; i < arch->register_count; i++) {
        registers[i] = 0;
        uc_reg_read(cpu->main, arch->registers[i], &registers[i]);
    }
    registers[arch->pc_index] = cpu->pc;
    return arch->register_count;
}

bool khs_host_register(khs_host *host, uint32_t partition, int number, void *value)
{
    khs_cpu *cpu = live(host, partition);
    uint8_t whole[64] = {0}; /* as wide as the widest of any CPU */
    if (cpu == NULL)
        return false;
    if (number == host->arch->pc)
        memcpy(whole, &cpu->pc, sizeof cpu->pc);
    else if (uc_reg_read(cpu->main, number, whole) != UC_ERR_OK)
        return false;
    memcpy(value, whole, KHS_HOST_REGISTER_BYTES);
    return true;
}

/* A fault that was found ahead is of the instruction that was next before. */
static void jump(khs_cpu *cpu, uint64_t pc)
{
    cpu->pc = pc;
    if (cpu->refused.kind != KHS_FAULT_ENGINE)
        cpu->refused = (khs_latch){0};
}

bool khs_host_set_register(khs_host *host, uint32_t partition, int number, const void *value)
{
    khs_cpu *cpu = live(host, partition);
    uint8_t whole[64] = {0};
    uint64_t pc;
    memcpy(whole, value, KHS_HOST_REGISTER_BYTES);
    memcpy(&pc, value, sizeof pc);
    if (cpu == NULL)
        return false;
    if (number == host->arch->pc)
        jump(cpu, pc);
    return number == host->arch->pc || uc_reg_write(cpu->main, number, whole) == UC_ERR_OK;
}

/* ------------------------------------------------------------ memory */

uint64_t khs_host_read(khs_host *host, uint32_t partition, uint64_t address, void *buffer, uint64_t size)
{
    uint64_t done = 0;
    if (partition >= host->config->partitions.count)
        return 0;
    while (done < size) {
        uint64_t room;
        const uint8_t *from = khs_guest_at(host, partition, address + done, 0, &room);
        if (from == NULL)
            break;
        uint64_t here = room < size - done ? room : size - done;
        memcpy((uint8_t *)buffer + done, from, here);
        done += here;
    }
    return done;
}

static bool is_writable(const khs_host *host, const uint8_t *at)
{
    for (uint32_t i = 0; i < host->memory.count; i++) {
        const khs_region_memory *region = &host->memory.regions[i];
        if (at >= region->base && at < region->base + region->size)
            return region->writable;
    }
    return false;
}

uint64_t khs_host_write(khs_host *host, uint32_t partition, uint64_t address, const void *data, uint64_t size)
{
    uint64_t done = 0;
    if (partition >= host->config->partitions.count)
        return 0;
    while (done < size) {
        uint64_t room;
        uint8_t *to = khs_guest_at(host, partition, address + done, 0, &room);
        if (to == NULL || !is_writable(host, to))
            break;
        uint64_t here = room < size - done ? room : size - done;
        if (data != NULL)
            memcpy(to, (const uint8_t *)data + done, here);
        done += here;
    }
    return done;
}
