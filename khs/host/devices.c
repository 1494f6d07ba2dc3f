/* The devices of a system: what may be added, their windows in engines, how they begin and end, and what the caller sees. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define IRQS 32u
#define DEVICES_MOST 4096u

/* Whether its interrupts are among the partition's. */
static bool has_irqs(const khs_host_device *about)
{
    return about->irq == KHS_NONE ? about->more == 0 : about->irq < IRQS && about->more < IRQS - about->irq;
}

/* Of one partition, and in one another's way: ports of their own, or pages. */
static bool overlap(const khs_device *a, const khs_device *b)
{
    if (a->about.partition != b->about.partition || a->about.is_io != b->about.is_io)
        return false;
    if (a->about.is_io)
        return a->about.address < b->about.address + b->about.size && b->about.address < a->about.address + a->about.size;
    return khs_device_begin(a) < khs_device_end(b) && khs_device_begin(b) < khs_device_end(a);
}

/* Whether the pages or the ports of the device are free for it in its partition; ports exist on x86 alone. */
static bool is_possible(const khs_host *host, const khs_device *d)
{
    const khs_host_device *about = &d->about;
    uint64_t most = about->is_io ? 0x10000 : host->config->arch == KHS_X64 ? 1ull << 47 : 1ull << 32;
    if (about->partition >= host->config->partitions.count || d->model == NULL || !has_irqs(about) || about->size == 0 ||
        about->size > most || about->address > most - about->size)
        return false;
    for (uint32_t i = 0; i < host->device_count; i++)
        if (overlap(host->devices[i], d))
            return false;
    if (about->is_io)
        return host->config->arch != KHS_ARMV7;
    khs_slice slice = host->partitions[about->partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        uint64_t begin = host->maps[i].address, end = begin + host->regions[host->maps[i].region].size;
        if (begin < khs_device_end(d) && khs_device_begin(d) < end)
            return false;
    }
    return true;
}

static void drop(khs_device *d)
{
    if (d != NULL) {
        free(d->output);
        free(d->output_ticks);
    }
    free(d);
}

uint32_t khs_host_device_add(khs_host *host, const khs_host_device *about, const khs_host_device_calls *calls)
{
    static const khs_model *const models[] = {
        [KHS_HOST_OUTSIDE] = &khs_model_outside,
        [KHS_HOST_IMX_UART] = &khs_model_imx_uart,
        [KHS_HOST_16550] = &khs_model_16550,
        [KHS_HOST_IMX_EPIT] = &khs_model_imx_epit,
        [KHS_HOST_PIT] = &khs_model_pit,
        [KHS_HOST_IMX_GPIO] = &khs_model_imx_gpio,
        [KHS_HOST_IMX_WDOG] = &khs_model_imx_wdog,
        [KHS_HOST_IB700] = &khs_model_ib700,
        [KHS_HOST_FLEXCAN] = &khs_model_flexcan,
        [KHS_HOST_SJA1000] = &khs_model_sja1000,
    };
    if (host->device_states != NULL || host->device_count == DEVICES_MOST || (about->model == KHS_HOST_OUTSIDE) != (calls != NULL))
        return KHS_NONE;
    khs_device **devices = realloc(host->devices, (host->device_count + 1u) * sizeof *devices);
    khs_device *d = calloc(1, sizeof *d);
    if (devices != NULL)
        host->devices = devices;
    if (devices == NULL || d == NULL || (d->output = malloc(KHS_OUTPUT_MOST)) == NULL) {
        drop(d);
        return KHS_NONE;
    }
    d->host = host;
    d->first = d->peer = d;
    d->number = host->device_count;
    d->target = khs_host_device_target(host, d->number);
    d->about = *about;
    d->about.name[sizeof d->about.name - 1] = 0;
    if (calls != NULL)
        d->calls = *calls;
    d->model = about->model < sizeof models / sizeof *models ? models[about->model] : NULL;
    if (d->model != NULL && d->model->record != 0)
        d->output_ticks = malloc(KHS_OUTPUT_MOST / d->model->record * sizeof *d->output_ticks);
    if (!is_possible(host, d) || (d->model->record != 0 && d->output_ticks == NULL)) {
        drop(d);
        return KHS_NONE;
    }
    host->devices[host->device_count] = d;
    return host->device_count++;
}

static bool is_can(const khs_device *d) { return d->model == &khs_model_flexcan || d->model == &khs_model_sja1000; }

/* All on `bus` become a ring in the order of their numbers. */
static void link_bus(khs_host *host, const khs_device *bus)
{
    khs_device *first = NULL, *last = NULL;
    for (uint32_t i = 0; i < host->device_count; i++) {
        khs_device *d = host->devices[i];
        if (d->first != bus)
            continue;
        if (last != NULL)
            last->peer = d;
        first = first != NULL ? first : d;
        last = d;
        d->peer = first;
    }
}

bool khs_host_device_join(khs_host *host, uint32_t device, uint32_t other)
{
    if (device >= host->device_count || other >= host->device_count || host->device_states != NULL)
        return false;
    khs_device *a = host->devices[device]->first, *b = host->devices[other]->first;
    if (!is_can(a) || !is_can(b))
        return false;
    khs_device *first = a->number < b->number ? a : b, *second = first == a ? b : a;
    for (uint32_t i = 0; i < host->device_count; i++)
        if (host->devices[i]->first == second)
            host->devices[i]->first = first;
    link_bus(host, first);
    return true;
}

bool khs_devices_reset(khs_host *host)
{
    if (host->device_states == NULL)
        host->device_states = calloc(host->device_count + 1u, sizeof *host->device_states);
    if (host->device_states == NULL)
        return false;
    for (uint32_t i = 0; i < host->device_count; i++) {
        host->devices[i]->state = &host->device_states[i];
        *host->devices[i]->state = (khs_device_state){.next = KHS_AT_NO_TIME};
    }
    for (uint32_t i = 0; i < host->device_count; i++)
        host->devices[i]->model->reset(host->devices[i]);
    khs_devices_discard(host);
    host->looked = KHS_NONE;
    return true;
}

void khs_devices_discard(khs_host *host)
{
    for (uint32_t i = 0; i < host->device_count; i++)
        host->devices[i]->output_size = 0;
    host->is_full = false;
}

void khs_devices_close(khs_host *host)
{
    for (uint32_t i = 0; i < host->device_count; i++)
        drop(host->devices[i]);
    free(host->devices);
    free(host->faults);
    free(host->device_states);
}

/* ------------------------------------------------------------ windows */

bool khs_devices_map(khs_cpu *cpu, uc_engine *uc)
{
    for (uint32_t i = 0; i < cpu->host->device_count; i++) {
        khs_device *d = cpu->host->devices[i];
        if (d->about.partition == cpu->partition && !d->about.is_io &&
            uc_mmio_map(uc, khs_device_begin(d), khs_device_end(d) - khs_device_begin(d), khs_device_on_read, d,
                        khs_device_on_write, d) != UC_ERR_OK)
            return false;
    }
    return true;
}

bool khs_devices_hold(const khs_host *host, uint32_t partition, uint64_t address)
{
    for (uint32_t i = 0; i < host->device_count; i++) {
        const khs_device *d = host->devices[i];
        if (d->about.partition == partition && !d->about.is_io && address >= khs_device_begin(d) && address < khs_device_end(d))
            return true;
    }
    return false;
}

bool khs_devices_have_ports(const khs_host *host, uint32_t partition)
{
    for (uint32_t i = 0; i < host->device_count; i++)
        if (host->devices[i]->about.partition == partition && host->devices[i]->about.is_io)
            return true;
    return false;
}

khs_device *khs_device_at_port(khs_cpu *cpu, uint64_t port, uint32_t size)
{
    for (uint32_t i = 0; i < cpu->host->device_count; i++) {
        khs_device *d = cpu->host->devices[i];
        if (d->about.partition == cpu->partition && d->about.is_io && khs_device_has_port(d, port, size))
            return cpu->at_port = d;
    }
    return NULL;
}

/* ------------------------------------------------------------ the caller's side */

uint32_t khs_host_device_target(const khs_host *host, uint32_t device)
{
    return host->config->inputs.count + device;
}

uint64_t khs_host_device_output(khs_host *host, uint32_t device, void *buffer, uint64_t size)
{
    if (device >= host->device_count)
        return 0;
    khs_device *d = host->devices[device];
    uint32_t record = d->model->record, count = size < d->output_size ? (uint32_t)size : d->output_size;
    if (record != 0)
        count -= count % record;
    memcpy(buffer, d->output, count);
    d->output_size -= count;
    memmove(d->output, d->output + count, d->output_size);
    if (record != 0)
        memmove(d->output_ticks, d->output_ticks + count / record, d->output_size / record * sizeof *d->output_ticks);
    host->is_full = false;
    for (uint32_t i = 0; i < host->device_count; i++)
        host->is_full |= host->devices[i]->output_size >= KHS_OUTPUT_ENOUGH;
    return count;
}

uint64_t khs_host_device_ticks(const khs_host *host, uint32_t device, uint64_t *ticks, uint64_t count)
{
    if (device >= host->device_count || host->devices[device]->output_ticks == NULL)
        return 0;
    const khs_device *d = host->devices[device];
    uint64_t there = d->output_size / d->model->record;
    count = count < there ? count : there;
    memcpy(ticks, d->output_ticks, count * sizeof *ticks);
    return count;
}

bool khs_host_device_put(khs_host *host, uint32_t device, const void *data, uint64_t size)
{
    if (device >= host->device_count || host->device_states == NULL || size > KHS_OUTPUT_MOST - host->devices[device]->output_size)
        return false;
    for (uint64_t i = 0; i < size; i++)
        khs_device_put(host->devices[device], ((const uint8_t *)data)[i]);
    return true;
}

bool khs_host_device_count(const khs_host *host, uint32_t device, khs_host_device_counts *counts)
{
    if (device >= host->device_count || !host->booted)
        return false;
    const khs_device *d = host->devices[device];
    *counts = (khs_host_device_counts){.accesses = d->state->accesses, .received = d->state->received,
                                       .waiting = khs_device_waiting(d), .sent = d->state->sent, .overruns = d->state->overruns, .faults = d->state->told};
    return true;
}

const void *khs_devices_block(const khs_host *host, uint64_t *size)
{
    *size = host->device_count * sizeof *host->device_states;
    return host->device_states;
}
