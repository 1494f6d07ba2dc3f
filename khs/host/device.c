/* Devices: accesses, interrupts, and the time between. A device
 * lags behind until somebody looks at it, which nobody can tell: what comes from outside has its tick,
 * and its own events theirs. It is looked at when it is accessed, and in its owner's windows at each
 * of its events that may interrupt, since its interrupt comes there and nowhere else. So no device takes
 * time of another partition. Faults of lines, and whatever a watchdog does, come at their tick in any window. */
#include "device.h"
#include "hold.h"

/* ------------------------------------------------------------ bytes from and to the outside */

static bool is_mine(const khs_device *d, uint64_t index)
{
    return d->host->inputs[index].target == d->target;
}

/* The tick of the next input that was not announced. */
static uint64_t next_input(khs_device *d)
{
    khs_device_state *s = d->state;
    while (s->known < d->host->input_count && !is_mine(d, s->known))
        s->known++;
    return s->known < d->host->input_count ? d->host->inputs[s->known].tick : KHS_AT_NO_TIME;
}

uint64_t khs_device_waiting(const khs_device *d)
{
    const khs_device_state *s = d->state;
    uint64_t waiting = 0, taken = s->taken;
    for (uint64_t i = s->input; i < d->host->input_count; i++, taken = 0)
        if (is_mine(d, i))
            waiting += d->host->inputs[i].size - taken;
    return waiting;
}

int khs_device_take(khs_device *d)
{
    khs_device_state *s = d->state;
    for (; s->input < s->known; s->input++, s->taken = 0)
        if (is_mine(d, s->input) && s->taken < d->host->inputs[s->input].size) {
            s->received++;
            return d->host->inputs[s->input].data[s->taken++];
        }
    return -1;
}

void khs_device_put(khs_device *d, uint8_t byte)
{
    uint64_t now = d->state->now;
    d->state->sent++;
    d = d->first;
    if (d->output_ticks != NULL && d->output_size < KHS_OUTPUT_MOST)
        d->output_ticks[d->output_size / d->model->record] = now;
    if (d->output_size < KHS_OUTPUT_MOST)
        d->output[d->output_size++] = byte;
    if (d->output_size >= KHS_OUTPUT_ENOUGH)
        d->host->is_full = true;
}

/* ------------------------------------------------------------ time */

static uint64_t due(khs_device *d)
{
    return khs_least(d->state->next, next_input(d));
}

/* Whether something happens to `a` before it happens to `b`. Of one tick what they do themselves comes
 * before what comes from outside, which may be known only when that tick has been looked at. */
static bool is_before(khs_device *a, khs_device *b)
{
    uint64_t one = due(a), other = due(b);
    return one < other || (one == other && a->state->next == one && b->state->next != one);
}

/* Of the devices on a bus, the one that something happens to first; of several the lowest number. */
static khs_device *earliest(khs_device *d, uint64_t *at)
{
    khs_device *found = d->first;
    for (khs_device *m = found->peer; m != d->first; m = m->peer)
        if (is_before(m, found))
            found = m;
    *at = due(found);
    return found;
}

/* When somebody has to look at what is on its bus. */
static uint64_t look_due(khs_device *d)
{
    uint64_t at;
    if (d->model->quiet != NULL)
        return khs_least(d->model->quiet(d), next_input(d));
    earliest(d, &at);
    return at;
}

/* To all on a bus. What was known late happens late. */
static void set_now(khs_device *d, uint64_t tick)
{
    for (khs_device *m = d->first;; m = m->peer) {
        if (tick > m->state->now)
            m->state->now = tick;
        if (m->peer == d->first)
            return;
    }
}

/* What is next for it. */
static void happen(khs_device *d, uint64_t at)
{
    khs_device_state *s = d->state;
    if (s->next == at) {
        s->next = KHS_AT_NO_TIME;
        d->model->advance(d);
    } else {
        s->known++;
        d->model->input(d);
    }
    if (s->next <= s->now)
        s->next = s->now + 1; /* a model wants no time to pass */
}

/* Everything that happens to it, and to all on its bus, up to `tick`, that one included; in the order
 * of time, whoever is looked at. */
static void catch_up(khs_device *d, uint64_t tick)
{
    uint64_t at;
    if (d->peer == d && due(d) > tick) { /* nearly always */
        d->state->now = tick > d->state->now ? tick : d->state->now;
        return;
    }
    for (khs_device *m = earliest(d, &at); at <= tick; m = earliest(d, &at)) {
        set_now(d, at);
        happen(m, at);
    }
    set_now(d, tick);
}

/* Lines that are up and have an interrupt, of which its owner was not told. */
static uint32_t wants(const khs_device *d)
{
    uint32_t has = d->about.irq == KHS_NONE ? 0 : UINT32_MAX >> (31 - d->about.more);
    return d->state->lines & ~d->state->raised & has;
}

static void tell_owner(khs_device *d)
{
    for (uint32_t wanted = wants(d); wanted != 0; wanted &= wanted - 1) {
        uint32_t n = (uint32_t)__builtin_ctz(wanted);
        if (!khs_raise(d->host->core, d->about.partition, d->about.irq + n))
            return;
        d->state->raised |= 1u << n;
        if (d->model->taken != NULL)
            d->model->taken(d);
    }
}

void khs_devices_follow(khs_host *host)
{
    uint64_t now = khs_now(host->core);
    for (uint32_t i = 0; i < host->device_count && now > 0; i++) {
        khs_device *d = host->devices[i];
        if (d->about.partition == host->looked && d->model->quiet != NULL)
            catch_up(d, now - 1);
    }
    host->looked = KHS_NONE;
}

uint64_t khs_devices_look(khs_host *host, uint64_t limit)
{
    uint64_t now = khs_now(host->core);
    uint32_t partition = khs_window(host->core);
    if (host->looked != partition)
        khs_devices_follow(host);
    host->looked = partition;
    limit = khs_least(limit, khs_window_end(host->core));
    for (uint32_t i = 0; i < host->device_count; i++) {
        khs_device *d = host->devices[i];
        bool owns = d->about.partition == partition;
        if (owns || d->model->is_prompt) {
            catch_up(d, now);
            limit = khs_least(limit, look_due(d));
        }
        if (owns)
            tell_owner(d);
        khs_device_tell_faults(d, now);
        limit = khs_least(limit, khs_device_next_fault(d));
    }
    return limit;
}

void khs_devices_return(khs_host *host, uint32_t partition)
{
    uint64_t now = khs_now(host->core);
    for (uint32_t i = 0; i < host->device_count; i++) {
        khs_device *d = host->devices[i];
        if (d->about.partition != partition)
            continue;
        if (now > d->state->now)
            catch_up(d, now);
        d->state->raised = 0;
        tell_owner(d);
    }
}

void khs_devices_start(khs_host *host, uint32_t partition)
{
    for (uint32_t i = 0; i < host->device_count; i++)
        if (host->devices[i]->about.partition == partition)
            host->devices[i]->state->raised = 0;
}

/* ------------------------------------------------------------ accesses */

/* One that the bus carries out, in parts as wide as the device takes them. */
static uint64_t transfer(khs_device *d, uint32_t offset, uint32_t size, const uint64_t *value)
{
    uint32_t part = size < d->model->widest ? size : d->model->widest;
    uint64_t read = 0;
    if (part == size && value == NULL)
        return d->model->read(d, offset, size);
    for (uint32_t done = 0; done < size; done += part) {
        if (value != NULL)
            d->model->write(d, offset + done, part, (uint32_t)(*value >> 8 * done));
        else
            read |= (uint64_t)d->model->read(d, offset + done, part) << 8 * done;
    }
    return read;
}

/* Whether a read gives the same at any tick up to `last`, without a trace in the device but its count: drivers
 * wait by reading a status. */
static bool is_steady(khs_device *d, uint32_t offset, uint32_t size, uint64_t last)
{
    return d->model->steady != NULL && d->peer == d && due(d) > last && !d->state->faults && !wants(d) &&
           size <= d->model->widest && d->model->steady(d, offset);
}

static uint32_t read_steady(khs_device *d, const khs_cpu *cpu, uint32_t offset, uint32_t size)
{
    volatile sig_atomic_t *armed = &d->host->guard.armed;
    d->state->accesses += !cpu->repeats;
    *armed = 0; /* a crash of a model is none of the engine's */
    uint32_t read = d->model->read(d, offset, size);
    *armed = 1;
    return read;
}

/* For a read within the block that was entered last, nobody has to know which instruction makes it. */
static bool read_in_block(khs_device *d, khs_cpu *cpu, uint32_t offset, uint32_t size, uint32_t *read)
{
    uint64_t last = khs_now(d->host->core) + cpu->budget - cpu->left - cpu->aside - 1;
    if (cpu->reason != KHS_RUNNING_ON || !is_steady(d, offset, size, last))
        return false;
    *read = read_steady(d, cpu, offset, size);
    return true;
}

/* At the tick of the instruction, behind which `behind` ticks are left of the budget. */
static uint64_t perform(khs_device *d, uc_engine *uc, uint32_t offset, uint32_t size, const uint64_t *value,
                        uint64_t behind)
{
    khs_host *host = d->host;
    khs_cpu *cpu = host->cpus[d->about.partition];
    uint64_t now = khs_now(host->core) + cpu->budget - behind - 1;
    if (value == NULL && is_steady(d, offset, size, now))
        return read_steady(d, cpu, offset, size);
    host->guard.armed = 0;
    catch_up(d, now);
    d->state->accesses++;
    uint64_t read = transfer(d, offset, size, value);
    if (d->state->next <= now)
        d->state->next = now + 1;
    uint64_t again = wants(d) || d->state->faults ? now + 1 : look_due(d);
    if (again < host->limit)
        host->limit = again;
    if (KHS_RARE(again - now - 1 < behind))
        khs_access_cut(cpu, uc, behind, again - now - 1);
    host->guard.armed = 1;
    return read;
}

static uint64_t on_memory(khs_device *d, uc_engine *uc, uint64_t address, uint32_t size, const uint64_t *value)
{
    khs_cpu *cpu = d->host->cpus[d->about.partition];
    uint64_t behind, offset = address - d->about.address, asked = address << 1 | (value != NULL);
    uint32_t read;
    bool is_sound = offset < d->about.size && d->about.size - offset >= size;
    cpu->repeats = cpu->repeats && asked != cpu->asked;
    if (is_sound && value == NULL && read_in_block(d, cpu, (uint32_t)offset, size, &read))
        return read;
    cpu->asked = asked;
    if (!khs_access_begin(cpu, uc, is_sound, &behind))
        return 0;
    if (is_sound)
        return perform(d, uc, (uint32_t)offset, size, value, behind);
    uint32_t kind = value != NULL ? KHS_FAULT_WRITE : KHS_FAULT_READ;
    khs_latch_fault(cpu, uc, &(khs_latch){.kind = kind, .pc = cpu->now.pc, .address = address}, true);
    return 0;
}

uint64_t khs_device_on_read(uc_engine *uc, uint64_t offset, unsigned size, void *data)
{
    khs_device *d = data;
    return on_memory(d, uc, khs_device_begin(d) + offset, size, NULL);
}

void khs_device_on_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *data)
{
    khs_device *d = data;
    on_memory(d, uc, khs_device_begin(d) + offset, size, &value);
}

static khs_device *at_port(khs_cpu *cpu, uint32_t port, uint32_t size)
{
    khs_device *last = cpu->at_port; /* nearly always */
    return last != NULL && khs_device_has_port(last, port, size) ? last : khs_device_at_port(cpu, port, size);
}

bool khs_device_in(khs_cpu *cpu, uc_engine *uc, uint32_t port, uint32_t size, uint32_t *value)
{
    khs_device *d = at_port(cpu, port, size);
    uint64_t behind;
    if (d == NULL)
        return false;
    uint32_t offset = port - (uint32_t)d->about.address;
    cpu->repeats = false;
    if (!read_in_block(d, cpu, offset, size, value))
        *value = khs_access_begin_port(cpu, uc, &behind) ? (uint32_t)perform(d, uc, offset, size, NULL, behind) : 0;
    return true;
}

bool khs_device_out(khs_cpu *cpu, uc_engine *uc, uint32_t port, uint32_t size, uint32_t value)
{
    khs_device *d = at_port(cpu, port, size);
    uint64_t behind, wide = value;
    if (d != NULL && khs_access_begin_port(cpu, uc, &behind))
        perform(d, uc, port - (uint32_t)d->about.address, size, &wide, behind);
    return d != NULL;
}
