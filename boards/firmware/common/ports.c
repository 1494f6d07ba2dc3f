/* What the core asks of its host (khs/core/core.h, khs_port_*). `port` is the firmware. */
#include "firmware.h"

bool khs_port_input(void *port, uint64_t index, khs_input *input)
{
    const firmware *f = port;
    if (index >= f->image->inputs.size)
        return false;
    const image_input *record = (const image_input *)image_at(f, f->image->inputs) + index;
    *input = (khs_input){
        .tick = record->tick,
        .target = record->target,
        .data = image_at(f, record->data),
        .size = (uint32_t)record->data.size,
    };
    return true;
}

uint8_t *khs_port_region(void *port, uint32_t region) { return ((const firmware *)port)->memory[region]; }

const void *khs_port_policy(void *port, uint32_t index, size_t *size)
{
    const firmware *f = port;
    if (index >= f->image->policies.size)
        return NULL;
    const image_part *part = (const image_part *)image_at(f, f->image->policies) + index;
    *size = (size_t)part->size;
    return image_at(f, *part);
}

uint32_t khs_port_policy_at(void *port, uint64_t frame)
{
    const firmware *f = port;
    const image_swap *swaps = image_at(f, f->image->swaps);
    for (uint64_t i = 0; i < f->image->swaps.size; i++)
        if (swaps[i].frame == frame)
            return swaps[i].policy;
    return KHS_NONE;
}

void khs_port_start(void *port, uint32_t partition, bool warm)
{
    firmware *f = port;
    const khs_cfg_partition *p = &f->partitions[partition];
    for (uint32_t i = p->maps.first; i < p->maps.first + p->maps.count; i++) {
        uint32_t flags = f->regions[f->maps[i].region].flags;
        if (!(flags & KHS_REGION_SHARED) && !(warm && flags & KHS_REGION_KEEP))
            memory_reset(f, f->maps[i].region);
    }
    devices_return(f, partition); /* of a handler that is no more */
    cpu *c = &f->cpus[partition];
    c->vector = (cpu_vector)CPU_VECTOR_START;
    if (f->vector_of == c)
        f->vector_of = NULL;
    cpu_start(&c->context, p->entry, p->stack_top, p->start_info);
    run_call_frame(f, partition, p->start_info);
}

void khs_port_arguments(void *port, uint32_t partition, uint32_t count, uint64_t *arguments)
{
    (void)count;
    cpu_arguments(&((const firmware *)port)->cpus[partition].context, arguments);
}

void khs_port_result(void *port, uint32_t partition, uint32_t code, uint32_t value)
{
    cpu_result(&((firmware *)port)->cpus[partition].context, code, value);
}

static void settle_vector(firmware *f, cpu *c)
{
    if (f->vector_of == c)
        cpu_save_vector(&c->vector);
    f->vector_of = NULL;
}

void khs_port_interrupt(void *port, uint32_t partition, uint64_t handler, uint32_t irq)
{
    firmware *f = port;
    cpu *c = &f->cpus[partition];
    settle_vector(f, c);
    c->interrupted = c->context;
    c->interrupted_vector = c->vector;
    cpu_interrupt(&c->context, handler, irq);
    run_call_frame(f, partition, irq);
}

void khs_port_interrupt_return(void *port, uint32_t partition)
{
    firmware *f = port;
    cpu *c = &f->cpus[partition];
    settle_vector(f, c);
    c->context = c->interrupted;
    c->vector = c->interrupted_vector;
    devices_return(f, partition);
}
