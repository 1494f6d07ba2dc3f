/* Devices of partitions: registers and ports that their owner alone reaches, and interrupts that come
 * to it in its own windows. A line is open while its owner has the CPU; from an interrupt until the
 * owner's handler returns it is masked. So no partition's device enters the kernel in the windows of
 * another.
 *
 * Real boards and systems with devices keep pace with the clock: what virtual time is ahead by is
 * waited for. */
#include "../../../khs/core/internal.h"
#include "firmware.h"

#define STEP 1000u /* ticks of idling between two looks at the lines */

static const image_device *device(const firmware *f, uint64_t i)
{
    return (const image_device *)image_at(f, f->image->devices) + i;
}

static const image_line *line_of(const firmware *f, uint64_t i)
{
    return (const image_line *)image_at(f, f->image->lines) + i;
}

/* Else the owner is not done with its last interrupt: opened now, a line that is still up would come twice. */
static bool is_awaited(const firmware *f, const image_line *l)
{
    const khs_partition *p = &f->core->partitions[l->partition];
    return !p->in_handler && !(p->irq_pending >> l->irq & 1u);
}

static void set_lines(const firmware *f, uint32_t partition, bool open)
{
    for (uint64_t i = 0; i < f->image->lines.size; i++) {
        const image_line *l = line_of(f, i);
        if (l->partition == partition && (!open || is_awaited(f, l)))
            board_line_open(l->line, open);
    }
}

static void set_ports(const firmware *f, uint32_t partition, bool open)
{
    for (uint64_t i = 0; i < f->image->devices.size; i++)
        if (device(f, i)->partition == partition && device(f, i)->is_io)
            board_ports_open((uint32_t)device(f, i)->physical, device(f, i)->size, open);
}

static void map(const firmware *f, const image_device *d)
{
    if (d->partition >= f->config->partitions.count)
        firmware_fail("the boot image is wrong about a device of partition", d->partition);
    if (!d->is_io && !space_map_device(f->cpus[d->partition].space, d->address, d->physical, d->size))
        firmware_fail("this board cannot show a device at", d->address);
    if (d->card && !board_card_open(d->card, (uint32_t)d->physical, d->card_line))
        firmware_fail("this board has no card whose registers could be at", d->physical);
}

void devices_open(firmware *f)
{
    for (uint64_t i = 0; i < f->image->devices.size; i++)
        map(f, device(f, i));
    for (uint64_t i = 0; i < f->image->lines.size; i++)
        if (line_of(f, i)->partition >= f->config->partitions.count || line_of(f, i)->irq >= 32u)
            firmware_fail("the boot image is wrong about interrupt line", line_of(f, i)->line);
    /* else nobody waits: as fast as possible */
    f->paced = f->image->devices.size != 0 || !(f->image->flags & IMAGE_EMULATED);
    f->window = f->ports = KHS_NONE;
    f->seen = board_clock();
}

static bool has_lines(const firmware *f, uint32_t partition)
{
    bool has = false;
    for (uint64_t i = 0; i < f->image->lines.size; i++)
        has |= line_of(f, i)->partition == partition;
    return has;
}

/* The partition whose window it is has its lines. */
static void enter_window(firmware *f)
{
    uint32_t partition = f->core->state->slot_partition;
    if (partition == f->window)
        return;
    set_lines(f, f->window, false);
    set_lines(f, partition, true);
    f->window = partition;
    f->looks = has_lines(f, partition);
}

void devices_enter(firmware *f, uint32_t partition)
{
    if (partition == f->ports)
        return;
    set_ports(f, f->ports, false);
    set_ports(f, partition, true);
    f->ports = partition;
}

void devices_interrupt(firmware *f, uint32_t line)
{
    for (uint64_t i = 0; i < f->image->lines.size; i++)
        if (line_of(f, i)->line == line && line_of(f, i)->partition == f->window)
            khs_interrupt_raise(f->core, f->window, line_of(f, i)->irq);
}

void devices_return(firmware *f, uint32_t partition)
{
    if (partition == f->window)
        set_lines(f, partition, true);
}

static uint64_t elapsed(firmware *f)
{
    uint32_t now = board_clock();
    f->elapsed += run_ticks(f, now - f->seen, &f->remainder);
    f->seen = now;
    return f->elapsed;
}

uint64_t devices_pace(firmware *f)
{
    uint64_t now = khs_now(f->core);
    enter_window(f);
    uint32_t line = board_poll();
    while (elapsed(f) < now && line == BOARD_NOTHING)
        line = board_poll();
    if (line != BOARD_NOTHING)
        devices_interrupt(f, line);
    uint64_t end = f->core->state->slot_end;
    return f->looks ? khs_min(end, now + STEP) : end;
}
