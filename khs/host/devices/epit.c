/* Enhanced Periodic Interrupt Timer (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter
 * 24): a counter that goes down, and compares. Its clocks are those that the SABRE Lite has after reset;
 * output pin, low-power and debug modes have no effect. */
#include "../device.h"

#define PERIPHERAL_HZ 66000000u /* ipg_clk and ipg_clk_highfreq */
#define LOW_HZ 32768u           /* ipg_clk_32k */

enum { CONTROL = 0x00, STATUS = 0x04, LOAD = 0x08, COMPARE = 0x0c, COUNTER = 0x10 };

#define CONTROL_ENABLE 0x00000001u
#define CONTROL_FROM_LOAD 0x00000002u /* ENMOD */
#define CONTROL_INTERRUPT 0x00000004u /* OCIEN */
#define CONTROL_RELOAD 0x00000008u    /* RLD */
#define CONTROL_RESET 0x00010000u     /* SWR */
#define CONTROL_OVERWRITE 0x00020000u /* IOVW */
#define CONTROL_ALL 0x03eeffffu
#define CONTROL_KEPT 0x002c0003u      /* by a soft reset: STOPEN, WAITEN, DBGEN, ENMOD, EN */
#define STATUS_COMPARED 1u

static uint32_t clock_hz(const khs_epit *e)
{
    static const uint32_t sources[] = {0, PERIPHERAL_HZ, PERIPHERAL_HZ, LOW_HZ};
    return e->control & CONTROL_ENABLE ? sources[e->control >> 24 & 3] : 0;
}

static uint64_t divider(const khs_epit *e) { return (e->control >> 4 & 0xfff) + 1ull; }
static uint64_t top(const khs_epit *e) { return e->control & CONTROL_RELOAD ? e->load : UINT32_MAX; }

static uint64_t cycle(const khs_device *d)
{
    return khs_cycles(d->state->now, clock_hz(&d->state->epit), d->host->config->clock_hz);
}

/* `from` and `began` become those of the last time that it counted, so that what is set from now on
 * holds from now on. */
static void settle(khs_device *d)
{
    khs_epit *e = &d->state->epit;
    if (clock_hz(e) == 0)
        return;
    uint64_t steps = (cycle(d) - e->began) / divider(e);
    e->began += steps * divider(e);
    if (steps <= e->from)
        e->from -= (uint32_t)steps;
    else
        e->from = (uint32_t)(top(e) - (steps - e->from - 1) % (top(e) + 1));
}

/* The next time that the counter gets to the compare value. Nobody can tell further ones apart until
 * the status is cleared. */
static void schedule(khs_device *d)
{
    khs_epit *e = &d->state->epit;
    d->state->lines = (e->status & STATUS_COMPARED) && (e->control & CONTROL_INTERRUPT);
    d->state->next = KHS_AT_NO_TIME;
    if (clock_hz(e) == 0 || (e->status & STATUS_COMPARED))
        return;
    uint64_t steps = (uint64_t)e->from - e->compare;
    if (e->compare >= e->from)
        steps = e->from + 1ull + top(e) - e->compare;
    if (e->compare < e->from || e->compare <= top(e))
        khs_device_at(d, khs_cycle_tick(e->began + steps * divider(e), clock_hz(e), d->host->config->clock_hz));
}

static void reset(khs_device *d)
{
    d->state->epit = (khs_epit){.load = UINT32_MAX, .from = UINT32_MAX};
    schedule(d);
}

static uint32_t read_register(khs_device *d, uint32_t offset)
{
    khs_epit *e = &d->state->epit;
    switch (offset) {
    case CONTROL: return e->control;
    case STATUS: return e->status;
    case LOAD: return e->load;
    case COMPARE: return e->compare;
    case COUNTER: settle(d); return e->from;
    default: return 0;
    }
}

static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    return khs_part_of(read_register(d, offset & ~3u), offset, size);
}

static void set_counter(khs_device *d, uint32_t value)
{
    d->state->epit.from = value;
    d->state->epit.began = cycle(d);
}

static void set_control(khs_device *d, uint32_t value)
{
    khs_epit *e = &d->state->epit;
    uint32_t was = e->control, source_or_divider = 0x0300fff0u | CONTROL_ENABLE;
    if (value & CONTROL_RESET) {
        *e = (khs_epit){.load = UINT32_MAX, .from = UINT32_MAX};
        value &= CONTROL_KEPT;
    }
    e->control = value & CONTROL_ALL;
    if ((value & ~was & CONTROL_ENABLE) && (value & CONTROL_FROM_LOAD))
        set_counter(d, (uint32_t)top(e));
    else if ((value ^ was) & source_or_divider)
        set_counter(d, e->from);
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    khs_epit *e = &d->state->epit;
    if (size != 4)
        return;
    settle(d);
    switch (offset) {
    case CONTROL: set_control(d, value); break;
    case STATUS: e->status &= ~value; break;
    case LOAD:
        e->load = value;
        if (e->control & CONTROL_OVERWRITE)
            set_counter(d, value);
        break;
    case COMPARE: e->compare = value; break;
    default: break;
    }
    schedule(d);
}

static void advance(khs_device *d)
{
    d->state->epit.status = STATUS_COMPARED;
    schedule(d);
}

static void input(khs_device *d) { (void)d; }

static bool steady(khs_device *d, uint32_t offset)
{
    (void)d;
    return (offset & ~3u) != COUNTER;
}

const khs_model khs_model_imx_epit = {.widest = 4, .reset = reset, .read = read_part, .steady = steady, .write = write_part, .advance = advance, .input = input};
