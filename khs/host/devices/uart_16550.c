/* 16550 UART (National Semiconductor PC16550D data sheet), on a PC: OUT2 lets the interrupt out. The
 * modem lines say that somebody is there; outside of loop-back they do not change. */
#include "uart.h"

#define DEPTH 16u
#define CLOCK_HZ 1843200u

enum { DATA = 0, INTERRUPTS = 1, IDENTITY = 2, LINE_CONTROL = 3, MODEM_CONTROL = 4, LINE_STATUS = 5, MODEM_STATUS = 6, SCRATCH = 7 };
/* Of `registers`, beside those. */
enum { FIFO_CONTROL = 8, DIVISOR_LOW = 9, DIVISOR_HIGH = 10 };

#define INTERRUPT_DATA 0x01u
#define INTERRUPT_EMPTY 0x02u
#define INTERRUPT_LINE 0x04u
#define IDENTITY_NONE 0x01u
#define IDENTITY_EMPTY 0x02u
#define IDENTITY_DATA 0x04u
#define IDENTITY_LINE 0x06u
#define IDENTITY_AGED 0x0cu
#define IDENTITY_FIFO 0xc0u
#define FIFO_ON 0x01u
#define FIFO_EMPTY_RECEIVER 0x02u
#define FIFO_EMPTY_TRANSMITTER 0x04u
#define LINE_TWO_STOPS 0x04u
#define LINE_PARITY 0x08u
#define LINE_DIVISOR 0x80u
#define MODEM_OUT2 0x08u
#define MODEM_LOOP 0x10u
#define MODEM_THERE 0xb0u /* DCD, DSR, CTS */
#define STATUS_DATA 0x01u
#define STATUS_OVERRUN 0x02u
#define STATUS_EMPTY 0x20u
#define STATUS_IDLE 0x40u

static uint32_t *at(khs_device *d, uint32_t number) { return &d->state->uart.registers[number]; }
static bool has_fifo(khs_device *d) { return *at(d, FIFO_CONTROL) & FIFO_ON; }

/* Characters in the receiver that it interrupts at. */
static uint32_t trigger(khs_device *d)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return has_fifo(d) ? levels[*at(d, FIFO_CONTROL) >> 6 & 3] : 1;
}

/* What the driver is told first, 0 if nothing. */
static uint32_t cause(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    uint32_t enabled = *at(d, INTERRUPTS);
    if ((enabled & INTERRUPT_LINE) && u->overrun)
        return IDENTITY_LINE;
    if ((enabled & INTERRUPT_DATA) && u->received.fill >= trigger(d))
        return IDENTITY_DATA;
    if ((enabled & INTERRUPT_DATA) && u->aged)
        return IDENTITY_AGED;
    if ((enabled & INTERRUPT_EMPTY) && u->empty_unseen)
        return IDENTITY_EMPTY;
    return 0;
}

static void set_line(khs_device *d)
{
    d->state->lines = cause(d) != 0 && (*at(d, MODEM_CONTROL) & MODEM_OUT2);
}

static void apply(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    uint32_t control = *at(d, LINE_CONTROL), divisor = *at(d, DIVISOR_LOW) | *at(d, DIVISOR_HIGH) << 8;
    uint32_t bits = 7u + (control & 3) + (control & LINE_TWO_STOPS ? 1u : 0u) + (control & LINE_PARITY ? 1u : 0u);
    u->depth = has_fifo(d) ? DEPTH : 1;
    u->loops = *at(d, MODEM_CONTROL) & MODEM_LOOP;
    khs_uart_speed(d, CLOCK_HZ / 16 / (divisor == 0 ? 0x10000u : divisor), bits);
    khs_uart_go_on(d);
}

static void reset(khs_device *d)
{
    khs_uart_clear(d, 1);
    d->state->uart.sends = d->state->uart.empty_unseen = true;
    *at(d, DIVISOR_LOW) = 12; /* 9600 baud */
    apply(d);
    set_line(d);
}

static uint32_t line_status(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    uint32_t value = (u->received.fill > 0 ? STATUS_DATA : 0u) | (u->overrun ? STATUS_OVERRUN : 0u) |
                     (u->to_send.fill == 0 ? STATUS_EMPTY : 0u) | (khs_uart_is_idle(u) ? STATUS_IDLE : 0u);
    u->overrun = false;
    return value;
}

static uint32_t identity(khs_device *d)
{
    uint32_t found = cause(d), fifo = has_fifo(d) ? IDENTITY_FIFO : 0;
    if (found == IDENTITY_EMPTY)
        d->state->uart.empty_unseen = false;
    return fifo | (found ? found : IDENTITY_NONE);
}

/* In loop-back the lines that it sets are those that it sees. */
static uint32_t modem_status(khs_device *d)
{
    uint32_t set = *at(d, MODEM_CONTROL);
    if (!(set & MODEM_LOOP))
        return MODEM_THERE;
    return (set & 0x0c) << 4 | (set & 0x02) << 3 | (set & 0x01) << 5;
}

static uint32_t fetch(khs_device *d)
{
    int byte = khs_uart_fetch(d);
    return byte < 0 ? 0 : (uint32_t)byte;
}

static uint32_t read_register(khs_device *d, uint32_t offset)
{
    bool divides = *at(d, LINE_CONTROL) & LINE_DIVISOR;
    switch (offset) {
    case DATA: return divides ? *at(d, DIVISOR_LOW) : fetch(d);
    case INTERRUPTS: return *at(d, divides ? DIVISOR_HIGH : INTERRUPTS);
    case IDENTITY: return identity(d);
    case LINE_STATUS: return line_status(d);
    case MODEM_STATUS: return modem_status(d);
    default: return offset <= SCRATCH ? *at(d, offset) : 0xff;
    }
}

static bool steady(khs_device *d, uint32_t offset)
{
    return offset == LINE_STATUS ? !d->state->uart.overrun : offset >= LINE_CONTROL;
}

static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    (void)size;
    bool changes = !steady(d, offset);
    uint32_t value = read_register(d, offset);
    if (changes)
        set_line(d);
    return value;
}

/* The receiver starts with the first setting of the line: who never opened it loses nothing. */
static void set_fifo(khs_device *d, uint32_t value)
{
    khs_uart *u = &d->state->uart;
    bool changes = (value ^ *at(d, FIFO_CONTROL)) & FIFO_ON;
    if (changes || (value & FIFO_EMPTY_RECEIVER))
        khs_uart_empty(&u->received);
    if (changes || (value & FIFO_EMPTY_TRANSMITTER)) {
        khs_uart_empty(&u->to_send);
        u->empty_unseen = true;
    }
    if (u->received.fill == 0) {
        u->aged = false;
        u->aged_at = KHS_AT_NO_TIME;
    }
    *at(d, FIFO_CONTROL) = value & FIFO_ON ? value & 0xc9 : 0;
}

/* Enabling its interrupt tells that the transmitter is empty, however often. */
static void set_interrupts(khs_device *d, uint32_t value)
{
    khs_uart *u = &d->state->uart;
    if ((value & ~*at(d, INTERRUPTS) & INTERRUPT_EMPTY) && u->to_send.fill == 0)
        u->empty_unseen = true;
    *at(d, INTERRUPTS) = value & 0x0f;
}

static void send(khs_device *d, uint8_t value)
{
    khs_uart *u = &d->state->uart;
    u->empty_unseen = false;
    khs_uart_send(d, value);
    u->empty_unseen = u->to_send.fill == 0; /* it went right on into the shift register */
}

static void write_register(khs_device *d, uint32_t offset, uint32_t value)
{
    bool divides = *at(d, LINE_CONTROL) & LINE_DIVISOR;
    switch (offset) {
    case DATA:
        if (!divides) {
            send(d, (uint8_t)value);
            return;
        }
        *at(d, DIVISOR_LOW) = value;
        break;
    case INTERRUPTS:
        if (!divides) {
            set_interrupts(d, value);
            return;
        }
        *at(d, DIVISOR_HIGH) = value;
        break;
    case IDENTITY: set_fifo(d, value); break;
    case LINE_CONTROL:
        *at(d, LINE_CONTROL) = value;
        d->state->uart.receives = d->state->uart.receives || !(value & LINE_DIVISOR);
        break;
    case MODEM_CONTROL: *at(d, MODEM_CONTROL) = value & 0x1f; break;
    case SCRATCH: *at(d, SCRATCH) = value; break;
    default: return;
    }
    apply(d);
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    (void)size;
    write_register(d, offset, value & 0xff);
    set_line(d);
}

static void advance(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    bool was_empty = u->to_send.fill == 0;
    khs_uart_advance(d);
    u->empty_unseen |= !was_empty && u->to_send.fill == 0;
    set_line(d);
}

static uint64_t quiet(khs_device *d)
{
    const khs_uart *u = &d->state->uart;
    uint32_t enabled = *at(d, INTERRUPTS);
    uint64_t until = khs_uart_will_overrun(u);
    if (d->state->lines || !(*at(d, MODEM_CONTROL) & MODEM_OUT2))
        return until;
    if (enabled & INTERRUPT_DATA)
        until = khs_least(until, khs_least(khs_uart_will_hold(u, trigger(d)), khs_uart_will_age(u)));
    if ((enabled & INTERRUPT_EMPTY) && u->to_send.fill > 0)
        until = khs_least(until, khs_uart_will_leave(u, 0));
    return until;
}

static void input(khs_device *d)
{
    khs_uart_go_on(d);
    set_line(d);
}

const khs_model khs_model_16550 = {.widest = 1, .reset = reset, .read = read_part, .steady = steady, .write = write_part, .advance = advance,
                                   .input = input, .quiet = quiet};
