/* 8254 Programmable Interval Timer (Intel 8254 data sheet), on a PC: OUT of channel 0 is the interrupt,
 * an edge; all gates are open, so that modes 1 and 5 wait for ever. At power on all channels are as a
 * PC's firmware leaves them: square waves of 65,536. */
#include "../device.h"

#define PIT_HZ 1193182u
#define CHANNELS 3u
#define COMMAND 3u
#define FIRST 65536u

enum { TERMINAL = 0, ONE_SHOT = 1, RATE = 2, SQUARE = 3, STROBE = 4, HARDWARE_STROBE = 5 };
enum { LATCH = 0, LOW = 1, HIGH = 2, BOTH = 3 };

static uint32_t modulus(const khs_pit_channel *c) { return c->is_bcd ? 10000 : 65536; }
static uint32_t high_half(uint32_t count) { return (count + 1) / 2; }

static uint64_t cycle(const khs_device *d)
{
    return khs_cycles(d->state->now, PIT_HZ, d->host->config->clock_hz);
}

/* ------------------------------------------------------------ one counter at a cycle */

static void settle(khs_pit_channel *c, uint64_t now)
{
    if (c->coming == 0 || c->comes_at > now)
        return;
    c->count = c->coming;
    c->began = c->comes_began;
    c->coming = 0;
    c->counts = true;
}

static bool out(const khs_pit_channel *c, uint64_t now)
{
    uint64_t gone = now - c->began;
    if (!c->counts)
        return c->mode != TERMINAL;
    switch (c->mode) {
    case TERMINAL: return gone >= c->count;
    case RATE: return gone % c->count != c->count - 1;
    case SQUARE: return gone % c->count < high_half(c->count);
    default: return gone != c->count; /* STROBE */
    }
}

static uint32_t counter(const khs_pit_channel *c, uint64_t now)
{
    uint64_t gone = now - c->began;
    uint32_t in_turn = (uint32_t)(gone % c->count), half = high_half(c->count);
    if (!c->counts)
        return c->held;
    switch (c->mode) {
    case RATE: return (c->count - in_turn) % modulus(c);
    case SQUARE: return ((c->count & ~1u) - 2 * (in_turn < half ? in_turn : in_turn - half)) % modulus(c);
    default: return (c->count + modulus(c) - (uint32_t)(gone % modulus(c))) % modulus(c);
    }
}

/* The next cycle at which OUT rises if nothing new is loaded. */
static uint64_t next_rise(const khs_pit_channel *c, uint64_t now)
{
    uint64_t gone = now - c->began;
    if (!c->counts)
        return KHS_AT_NO_TIME;
    switch (c->mode) {
    case TERMINAL: return gone < c->count ? c->began + c->count : KHS_AT_NO_TIME;
    case STROBE: return gone <= c->count ? c->began + c->count + 1 : KHS_AT_NO_TIME;
    default: return c->count > 1 ? c->began + (gone / c->count + 1) * c->count : KHS_AT_NO_TIME;
    }
}

static void stop(khs_pit_channel *c, uint64_t now)
{
    c->held = counter(c, now);
    c->counts = false;
    c->coming = 0;
}

/* A count takes effect with the next cycle, in RATE with the next period, in SQUARE with the next half. */
static void load(khs_pit_channel *c, uint64_t now, uint32_t count)
{
    c->coming = count;
    c->comes_at = c->comes_began = now + 1;
    if (c->mode == ONE_SHOT || c->mode == HARDWARE_STROBE)
        c->comes_at = KHS_AT_NO_TIME;
    if (!c->counts || (c->mode != RATE && c->mode != SQUARE))
        return;
    uint32_t in_turn = (uint32_t)((now - c->began) % c->count), half = high_half(c->count);
    bool is_high = c->mode == SQUARE && in_turn < half;
    c->comes_at = now - in_turn + (is_high ? half : c->count);
    c->comes_began = c->comes_at - (is_high ? high_half(count) : 0);
}

/* ------------------------------------------------------------ the interrupt */

/* Edges that come while one is pending are one. */
static void schedule(khs_device *d)
{
    const khs_pit_channel *c = &d->state->pit.channels[0];
    uint64_t next = next_rise(c, cycle(d));
    if (c->coming != 0 && c->comes_at < next)
        next = c->comes_at;
    d->state->next = KHS_AT_NO_TIME;
    if (!d->state->lines && next != KHS_AT_NO_TIME)
        khs_device_at(d, khs_cycle_tick(next, PIT_HZ, d->host->config->clock_hz));
}

static void advance(khs_device *d)
{
    khs_pit_channel *c = &d->state->pit.channels[0];
    uint64_t now = cycle(d);
    bool was_high = out(c, now - 1);
    settle(c, now);
    d->state->lines |= !was_high && out(c, now);
    schedule(d);
}

static void taken(khs_device *d)
{
    d->state->lines = 0;
    settle(&d->state->pit.channels[0], cycle(d));
    schedule(d);
}

/* ------------------------------------------------------------ accesses */

static uint32_t from_bcd(uint32_t value)
{
    return (value & 15) + 10 * (value >> 4 & 15) + 100 * (value >> 8 & 15) + 1000 * (value >> 12 & 15);
}

static uint32_t to_bcd(uint32_t value)
{
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t shown(const khs_pit_channel *c, uint64_t now)
{
    uint32_t value = counter(c, now);
    return c->is_bcd ? to_bcd(value) : value;
}

static void latch_counter(khs_pit_channel *c, uint64_t now)
{
    if (!c->has_latched)
        c->latched = shown(c, now);
    c->has_latched = true;
}

static void latch_status(khs_pit_channel *c, uint64_t now)
{
    if (!c->has_status)
        c->status = (uint8_t)(out(c, now) << 7 | (c->coming != 0 || !c->counts) << 6 | c->access << 4 | c->mode << 1 | c->is_bcd);
    c->has_status = true;
}

static void read_back(khs_pit *p, uint64_t now, uint32_t command)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        if (!(command >> (i + 1) & 1))
            continue;
        if (!(command & 0x20))
            latch_counter(&p->channels[i], now);
        if (!(command & 0x10))
            latch_status(&p->channels[i], now);
    }
}

static void command(khs_pit *p, uint64_t now, uint32_t value)
{
    uint32_t channel = value >> 6 & 3, access = value >> 4 & 3, mode = value >> 1 & 7;
    if (channel == CHANNELS) {
        read_back(p, now, value);
        return;
    }
    khs_pit_channel *c = &p->channels[channel];
    if (access == LATCH) {
        latch_counter(c, now);
        return;
    }
    stop(c, now);
    c->access = (uint8_t)access;
    c->mode = (uint8_t)(mode > HARDWARE_STROBE ? mode - 4 : mode);
    c->is_bcd = value & 1;
    c->has_low = c->reads_high = c->has_latched = c->has_status = false;
}

static void write_count(khs_pit_channel *c, uint64_t now, uint8_t byte)
{
    uint32_t value = c->access == HIGH ? (uint32_t)byte << 8 : byte;
    if (c->access == BOTH) {
        c->has_low = !c->has_low;
        if (c->has_low) {
            c->low = byte;
            if (c->mode == TERMINAL)
                stop(c, now);
            return;
        }
        value = (uint32_t)byte << 8 | c->low;
    }
    if (c->is_bcd)
        value = from_bcd(value);
    load(c, now, value == 0 ? modulus(c) : value);
}

static uint32_t read_count(khs_pit_channel *c, uint64_t now)
{
    uint32_t value = c->has_latched ? c->latched : shown(c, now);
    bool high = c->access == HIGH || (c->access == BOTH && c->reads_high);
    if (c->has_status) {
        c->has_status = false;
        return c->status;
    }
    c->reads_high = c->access == BOTH && !c->reads_high;
    c->has_latched = c->has_latched && c->reads_high;
    return high ? value >> 8 & 0xff : value & 0xff;
}

static void settle_all(khs_device *d)
{
    for (uint32_t i = 0; i < CHANNELS; i++)
        settle(&d->state->pit.channels[i], cycle(d));
}

static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    (void)size;
    settle_all(d);
    return offset < CHANNELS ? read_count(&d->state->pit.channels[offset], cycle(d)) : 0;
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    (void)size;
    khs_pit *p = &d->state->pit;
    uint64_t now = cycle(d);
    settle_all(d);
    bool was_high = out(&p->channels[0], now);
    if (offset == COMMAND)
        command(p, now, value & 0xff);
    else if (offset < CHANNELS)
        write_count(&p->channels[offset], now, (uint8_t)value);
    d->state->lines |= !was_high && out(&p->channels[0], now);
    schedule(d);
}

static void reset(khs_device *d)
{
    for (uint32_t i = 0; i < CHANNELS; i++)
        d->state->pit.channels[i] = (khs_pit_channel){.mode = SQUARE, .access = BOTH, .count = FIRST, .counts = true};
    schedule(d);
}

static void input(khs_device *d) { (void)d; }

const khs_model khs_model_pit = {.widest = 1, .reset = reset, .read = read_part, .write = write_part, .advance = advance, .input = input, .taken = taken};
