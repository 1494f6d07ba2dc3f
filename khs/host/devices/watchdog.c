/* Watchdogs: i.MX WDOG (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 70) and the
 * iB700 of ISA single-board computers (as Linux' ib700wdt drives it). One that expires resets what it
 * guards: here that is its owner, and the health monitor says how. The watchdog itself is then as after
 * a reset. */
#include "../device.h"

enum { CONTROL = 0, SERVICE = 1, CAUSE = 2, WARNING = 3, POWER_DOWN = 4, REGISTERS = 5 };

#define CONTROL_ONCE 0x0083u    /* WDZST, WDBG, WDW: what is written first holds */
#define CONTROL_ENABLE 0x0004u  /* WDE: nothing but a reset disables it again */
#define CONTROL_NO_RESET 0x0010u /* SRS */
#define CONTROL_NO_SIGNAL 0x0020u /* WDA */
#define CAUSE_SOFTWARE 0x0001u
#define CAUSE_EXPIRED 0x0002u
#define CAUSE_POWER 0x0010u
#define WARNING_HALVES 0x00ffu /* WICT */
#define WARNING_STATUS 0x4000u /* WTIS */
#define WARNING_ENABLE 0x8000u /* WIE */

#define SERVICE_FIRST 0x5555u
#define SERVICE_SECOND 0xaaaau

static uint64_t halves(const khs_device *d, uint64_t count) { return count * d->host->config->clock_hz / 2; }

static void schedule(khs_device *d)
{
    d->state->next = KHS_AT_NO_TIME;
    khs_device_at(d, d->state->watchdog.warns_at);
    khs_device_at(d, d->state->watchdog.expires_at);
}

static void clear(khs_device *d, uint16_t cause)
{
    d->state->watchdog = (khs_watchdog){.registers = {CONTROL_NO_RESET | CONTROL_NO_SIGNAL, 0, cause, 4, 1},
                                        .warns_at = KHS_AT_NO_TIME, .expires_at = KHS_AT_NO_TIME};
    d->state->lines = 0;
    schedule(d);
}

static void expire(khs_device *d, uint16_t cause)
{
    clear(d, cause);
    khs_device_fault(d, KHS_HOST_WATCHDOG);
}

static void advance(khs_device *d)
{
    khs_watchdog *w = &d->state->watchdog;
    if (w->expires_at <= d->state->now) {
        expire(d, CAUSE_EXPIRED);
        return;
    }
    w->warns_at = KHS_AT_NO_TIME;
    w->registers[WARNING] |= WARNING_STATUS;
    d->state->lines = (w->registers[WARNING] & WARNING_ENABLE) != 0;
    schedule(d);
}

static void input(khs_device *d) { (void)d; }

/* ------------------------------------------------------------ i.MX */

/* The time of the interrupt is that of the counter: it comes with it, not before now. */
static void warn_later(khs_device *d)
{
    khs_watchdog *w = &d->state->watchdog;
    uint64_t before = halves(d, w->registers[WARNING] & WARNING_HALVES);
    w->warns_at = KHS_AT_NO_TIME;
    if (w->expires_at != KHS_AT_NO_TIME && (w->registers[WARNING] & WARNING_ENABLE) && w->expires_at - d->state->now > before)
        w->warns_at = w->expires_at - before;
    schedule(d);
}

static void serve(khs_device *d)
{
    khs_watchdog *w = &d->state->watchdog;
    if (!(w->registers[CONTROL] & CONTROL_ENABLE))
        return;
    w->expires_at = d->state->now + halves(d, (w->registers[CONTROL] >> 8) + 1ull);
    warn_later(d);
}

static void set_control(khs_device *d, uint16_t value)
{
    khs_watchdog *w = &d->state->watchdog;
    uint16_t was = w->registers[CONTROL];
    if (!(value & CONTROL_NO_RESET)) {
        expire(d, CAUSE_SOFTWARE);
        return;
    }
    w->registers[CONTROL] = (uint16_t)(value | (was & (CONTROL_ONCE | CONTROL_ENABLE)));
    if (value & ~was & CONTROL_ENABLE)
        serve(d);
}

static void set_service(khs_device *d, uint16_t value)
{
    uint16_t *last = &d->state->watchdog.registers[SERVICE];
    if (*last == SERVICE_FIRST && value == SERVICE_SECOND)
        serve(d);
    *last = value;
}

/* How it warns is set once: enabling locks it. */
static void set_warning(khs_device *d, uint16_t value)
{
    uint16_t *warning = &d->state->watchdog.registers[WARNING];
    bool is_locked = *warning & WARNING_ENABLE;
    if (value & WARNING_STATUS) {
        *warning &= (uint16_t)~WARNING_STATUS;
        d->state->lines = 0;
    }
    if (is_locked)
        return;
    *warning = (uint16_t)((*warning & WARNING_STATUS) | (value & (WARNING_ENABLE | WARNING_HALVES)));
    warn_later(d);
}

static uint32_t imx_read(khs_device *d, uint32_t offset, uint32_t size)
{
    const uint16_t *registers = d->state->watchdog.registers;
    uint32_t value = offset / 2 < REGISTERS ? registers[offset / 2] : 0;
    return size == 1 ? value >> 8 * (offset & 1) & 0xff : value;
}

static void imx_write(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    if (size != 2)
        return;
    switch (offset / 2) {
    case CONTROL: set_control(d, (uint16_t)value); break;
    case SERVICE: set_service(d, (uint16_t)value); break;
    case WARNING: set_warning(d, (uint16_t)value); break;
    case POWER_DOWN: d->state->watchdog.registers[POWER_DOWN] &= (uint16_t)value; break;
    default: break;
    }
}

static void imx_reset(khs_device *d) { clear(d, CAUSE_POWER); }

const khs_model khs_model_imx_wdog = {.widest = 2, .reset = imx_reset, .read = imx_read, .write = imx_write, .advance = advance, .input = input, .is_prompt = true};

/* ------------------------------------------------------------ iB700 */

enum { PORT_DISABLE = 0, PORT_ENABLE = 2 };

static uint32_t ib700_read(khs_device *d, uint32_t offset, uint32_t size)
{
    (void)d, (void)offset, (void)size;
    return 0xff; /* nobody answers */
}

/* Enabling it is serving it: 30 seconds, 28, and so on down to none at all. */
static void ib700_write(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    (void)size;
    if (offset == PORT_DISABLE)
        d->state->watchdog.expires_at = KHS_AT_NO_TIME;
    else if (offset == PORT_ENABLE)
        d->state->watchdog.expires_at = d->state->now + halves(d, 4 * (15 - (value & 15)));
    schedule(d);
}

static void ib700_reset(khs_device *d) { clear(d, 0); }

const khs_model khs_model_ib700 = {.widest = 1, .reset = ib700_reset, .read = ib700_read, .write = ib700_write, .advance = advance, .input = input, .is_prompt = true};
