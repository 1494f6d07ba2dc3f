/* i.MX GPIO (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 28): 32 pins. A pin that
 * is an output reads 0 in PSR, as with IOMUX's SION clear; pins 0 to 15 have the first
 * interrupt of the device, the others the second. To and from the outside go records of 8 bytes, little-endian: a mask of pins, their levels. */
#include "../device.h"

enum { DATA = 0x00, DIRECTION = 0x04, PADS = 0x08, CONDITIONS = 0x0c, MORE_CONDITIONS = 0x10, MASK = 0x14, STATUS = 0x18, BOTH_EDGES = 0x1c };
enum { WHEN_LOW = 0, WHEN_HIGH = 1, WHEN_RISING = 2, WHEN_FALLING = 3 };

#define RECORD 8u
#define LOWER 0xffffu

static uint32_t inputs(const khs_gpio *g) { return g->pads & ~g->direction; }

/* Pins whose interrupt condition is that one, of those that are inputs. */
static uint32_t with(const khs_gpio *g, uint32_t condition)
{
    uint32_t pins = 0;
    for (uint32_t i = 0; i < 32; i++)
        pins |= (uint32_t)((g->conditions[i / 16] >> 2 * (i % 16) & 3) == condition) << i;
    return pins & ~g->both_edges & ~g->direction;
}

/* What has a level that interrupts is set, again if it was cleared. */
static void set_line(khs_device *d)
{
    khs_gpio *g = &d->state->gpio;
    g->status |= (with(g, WHEN_LOW) & ~g->pads) | (with(g, WHEN_HIGH) & g->pads);
    uint32_t interrupting = g->status & g->mask;
    d->state->lines = (interrupting & LOWER ? 1u : 0u) | (interrupting & ~LOWER ? 2u : 0u);
}

static void set_pads(khs_gpio *g, uint32_t pads)
{
    uint32_t rose = pads & ~g->pads, fell = g->pads & ~pads;
    g->status |= (with(g, WHEN_RISING) & rose) | (with(g, WHEN_FALLING) & fell) | (g->both_edges & ~g->direction & (rose | fell));
    g->pads = pads;
}

static uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_word(khs_device *d, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        khs_device_put(d, (uint8_t)(value >> 8 * i));
}

/* Records one after another: between two of them there is no time, but each is an edge. */
static void input(khs_device *d)
{
    khs_gpio *g = &d->state->gpio;
    for (int byte = khs_device_take(d); byte >= 0; byte = khs_device_take(d)) {
        g->part[g->part_size++] = (uint8_t)byte;
        if (g->part_size < RECORD)
            continue;
        uint32_t pins = word(g->part);
        g->part_size = 0;
        set_pads(g, (g->pads & ~pins) | (word(g->part + 4) & pins));
        set_line(d);
    }
}

static void drive(khs_device *d, uint32_t direction, uint32_t data)
{
    khs_gpio *g = &d->state->gpio;
    uint32_t changed = direction & (~g->direction | (g->data ^ data));
    g->direction = direction;
    g->data = data;
    if (changed != 0) {
        put_word(d, changed);
        put_word(d, data & changed);
    }
}

static uint32_t read_register(const khs_gpio *g, uint32_t offset)
{
    switch (offset) {
    case DATA: return (g->data & g->direction) | inputs(g);
    case DIRECTION: return g->direction;
    case PADS: return inputs(g);
    case CONDITIONS: return g->conditions[0];
    case MORE_CONDITIONS: return g->conditions[1];
    case MASK: return g->mask;
    case STATUS: return g->status;
    case BOTH_EDGES: return g->both_edges;
    default: return 0;
    }
}

static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    return khs_part_of(read_register(&d->state->gpio, offset & ~3u), offset, size);
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    khs_gpio *g = &d->state->gpio;
    if (size != 4)
        return;
    switch (offset) {
    case DATA: drive(d, g->direction, value); break;
    case DIRECTION: drive(d, value, g->data); break;
    case CONDITIONS: g->conditions[0] = value; break;
    case MORE_CONDITIONS: g->conditions[1] = value; break;
    case MASK: g->mask = value; break;
    case STATUS: g->status &= ~value; break;
    case BOTH_EDGES: g->both_edges = value; break;
    default: break;
    }
    set_line(d);
}

static void reset(khs_device *d) { set_line(d); }
static void advance(khs_device *d) { (void)d; }

static bool steady(khs_device *d, uint32_t offset)
{
    (void)d, (void)offset;
    return true;
}

const khs_model khs_model_imx_gpio = {.widest = 4, .record = RECORD, .reset = reset, .read = read_part, .steady = steady, .write = write_part, .advance = advance, .input = input};
