/* i.MX UART (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 64). Without IrDA, DMA,
 * RS-485, auto-baud, escape and modem lines. */
#include "uart.h"

#define DEPTH 32u
#define MODULE_HZ 80000000u

enum { URXD = 0x00, UTXD = 0x40, UCR1 = 0x80, UCR2 = 0x84, UCR3 = 0x88, UCR4 = 0x8c, UFCR = 0x90, USR1 = 0x94,
       USR2 = 0x98, UESC = 0x9c, UBIR = 0xa4, UBMR = 0xa8, UBRC = 0xac, UTS = 0xb4, END = 0xbc };

#define URXD_READY 0x8000u
#define URXD_ERROR 0x4000u
#define URXD_OVERRUN 0x2000u

#define UCR1_ENABLE 0x0001u
#define UCR1_SENT_INTERRUPT 0x0040u  /* TXMPTYEN */
#define UCR1_READY_INTERRUPT 0x0200u /* RRDYEN */
#define UCR1_ROOM_INTERRUPT 0x2000u  /* TRDYEN */
#define UCR2_NO_RESET 0x0001u
#define UCR2_RECEIVER 0x0002u
#define UCR2_TRANSMITTER 0x0004u
#define UCR2_AGE_INTERRUPT 0x0008u
#define UCR2_EIGHT_BITS 0x0020u
#define UCR2_TWO_STOPS 0x0040u
#define UCR2_PARITY 0x0100u
#define UCR4_DATA_INTERRUPT 0x0001u     /* DREN */
#define UCR4_OVERRUN_INTERRUPT 0x0002u  /* OREN */
#define UCR4_COMPLETE_INTERRUPT 0x0008u /* TCEN */

#define USR1_LINES 0x0040u /* RXDS: the receiver is idle */
#define USR1_AGED 0x0100u
#define USR1_READY 0x0200u
#define USR1_ROOM 0x2000u
#define USR2_DATA 0x0001u
#define USR2_OVERRUN 0x0002u
#define USR2_COMPLETE 0x0008u
#define USR2_CARRIER 0x0020u
#define USR2_EMPTY 0x4000u

#define UTS_LOOP 0x1000u
#define UTS_SENT 0x0040u
#define UTS_NOTHING 0x0020u
#define UTS_FULL 0x0010u
#define UTS_NO_ROOM 0x0008u

static uint32_t *at(khs_device *d, uint32_t offset)
{
    return &d->state->uart.registers[(offset - UCR1) / 4];
}

static void set_speed(khs_device *d)
{
    static const uint32_t dividers[] = {6, 5, 4, 3, 2, 1, 7, 7};
    uint64_t reference = MODULE_HZ / dividers[*at(d, UFCR) >> 7 & 7];
    uint32_t control = *at(d, UCR2);
    uint32_t bits = 2u + (control & UCR2_EIGHT_BITS ? 8u : 7u) + (control & UCR2_TWO_STOPS ? 1u : 0u) +
                    (control & UCR2_PARITY ? 1u : 0u);
    khs_uart_speed(d, reference * (*at(d, UBIR) + 1) / (16ull * (*at(d, UBMR) + 1)), bits);
}

static uint32_t status1(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    uint32_t send_level = *at(d, UFCR) >> 10 & 63, level = *at(d, UFCR) & 63;
    return USR1_LINES | (u->aged ? USR1_AGED : 0u) | (level > 0 && u->received.fill >= level ? USR1_READY : 0u) |
           (u->to_send.fill < send_level ? USR1_ROOM : 0u);
}

static uint32_t status2(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    return USR2_CARRIER | (u->received.fill > 0 ? USR2_DATA : 0u) | (u->overrun ? USR2_OVERRUN : 0u) |
           (u->to_send.fill == 0 ? USR2_EMPTY : 0u) | (khs_uart_is_idle(u) ? USR2_COMPLETE : 0u);
}

static uint32_t test(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    return (*at(d, UTS) & UTS_LOOP) | (u->to_send.fill == 0 ? UTS_SENT : 0u) | (u->received.fill == 0 ? UTS_NOTHING : 0u) |
           (u->to_send.fill >= DEPTH ? UTS_FULL : 0u) | (u->received.fill >= DEPTH ? UTS_NO_ROOM : 0u);
}

static void set_line(khs_device *d)
{
    uint32_t one = status1(d), two = status2(d), control = *at(d, UCR1), more = *at(d, UCR4);
    bool wants = ((control & UCR1_READY_INTERRUPT) && (one & USR1_READY)) ||
                 ((control & UCR1_ROOM_INTERRUPT) && (one & USR1_ROOM)) ||
                 ((control & UCR1_SENT_INTERRUPT) && (two & USR2_EMPTY)) ||
                 ((*at(d, UCR2) & UCR2_AGE_INTERRUPT) && (one & USR1_AGED)) ||
                 ((more & UCR4_DATA_INTERRUPT) && (two & USR2_DATA)) ||
                 ((more & UCR4_OVERRUN_INTERRUPT) && (two & USR2_OVERRUN)) ||
                 ((more & UCR4_COMPLETE_INTERRUPT) && (two & USR2_COMPLETE));
    d->state->lines = wants && (control & UCR1_ENABLE);
}

/* What the registers switch on. */
static void apply(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    bool on = *at(d, UCR1) & UCR1_ENABLE;
    u->receives = on && (*at(d, UCR2) & UCR2_RECEIVER);
    u->sends = on && (*at(d, UCR2) & UCR2_TRANSMITTER);
    u->loops = *at(d, UTS) & UTS_LOOP;
    set_speed(d);
    khs_uart_go_on(d);
}

static void reset(khs_device *d)
{
    khs_uart_clear(d, DEPTH);
    *at(d, UCR2) = UCR2_NO_RESET;
    *at(d, UCR3) = 0x700;
    *at(d, UCR4) = 0x8000;
    *at(d, UFCR) = 0x801;
    *at(d, UESC) = 0x2b;
    *at(d, UBRC) = 4;
    apply(d);
    set_line(d);
}

/* UCR2.SRST: FIFOs and status, not the settings. What comes in just now is lost to the reset. */
static void soft_reset(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    khs_uart_empty(&u->received);
    khs_uart_empty(&u->to_send);
    u->received_at = u->sent_at = u->aged_at = KHS_AT_NO_TIME;
    u->overrun = u->aged = false;
}

static uint32_t fetch(khs_device *d)
{
    uint32_t error = d->state->uart.overrun ? URXD_ERROR | URXD_OVERRUN : 0;
    int byte = khs_uart_fetch(d);
    return byte < 0 ? 0 : URXD_READY | error | (uint32_t)byte;
}

static uint32_t read_register(khs_device *d, uint32_t offset)
{
    switch (offset) {
    case USR1: return status1(d);
    case USR2: return status2(d);
    case UTS: return test(d);
    default: return offset >= UCR1 && offset < END ? *at(d, offset) : offset < UTXD ? fetch(d) : 0;
    }
}

/* Registers have 32 bits; parts of them read as such, and are written as the whole. */
static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    uint32_t value = khs_part_of(read_register(d, offset & ~3u), offset, size);
    if (offset < UTXD) /* the others change nothing */
        set_line(d);
    return value;
}

static void write_register(khs_device *d, uint32_t offset, uint32_t value)
{
    khs_uart *u = &d->state->uart;
    switch (offset) {
    case USR1: u->aged &= !(value & USR1_AGED); return;
    case USR2: u->overrun &= !(value & USR2_OVERRUN); return;
    case UBRC: return;
    default: break;
    }
    if (offset < UCR1 || offset >= END)
        return;
    if (offset == UCR2 && !(value & UCR2_NO_RESET)) {
        soft_reset(d);
        value |= UCR2_NO_RESET; /* it is over before anybody can look */
    }
    *at(d, offset) = value & 0xffff;
    apply(d);
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    (void)size;
    if (offset >= UTXD && offset < UCR1) {
        if (d->state->uart.sends)
            khs_uart_send(d, (uint8_t)value);
    } else if ((offset & 3) == 0) {
        write_register(d, offset, value);
    }
    set_line(d);
}

static void advance(khs_device *d)
{
    khs_uart_advance(d);
    set_line(d);
}

static uint64_t quiet(khs_device *d)
{
    const khs_uart *u = &d->state->uart;
    uint32_t control = *at(d, UCR1), more = *at(d, UCR4), levels = *at(d, UFCR);
    uint64_t until = khs_uart_will_overrun(u);
    if (d->state->lines || !(control & UCR1_ENABLE))
        return until;
    if ((control & UCR1_READY_INTERRUPT) && (levels & 63) > 0)
        until = khs_least(until, khs_uart_will_hold(u, levels & 63));
    if (more & UCR4_DATA_INTERRUPT)
        until = khs_least(until, khs_uart_will_hold(u, 1));
    if (*at(d, UCR2) & UCR2_AGE_INTERRUPT)
        until = khs_least(until, khs_uart_will_age(u));
    if ((control & UCR1_ROOM_INTERRUPT) && (levels >> 10 & 63) > 0)
        until = khs_least(until, khs_uart_will_leave(u, (levels >> 10 & 63) - 1));
    if (control & UCR1_SENT_INTERRUPT)
        until = khs_least(until, khs_uart_will_leave(u, 0));
    if (more & UCR4_COMPLETE_INTERRUPT)
        until = khs_least(until, khs_uart_will_idle(u));
    return until;
}

static void input(khs_device *d)
{
    khs_uart_go_on(d);
    set_line(d);
}

static bool steady(khs_device *d, uint32_t offset)
{
    (void)d;
    return offset >= UTXD;
}

const khs_model khs_model_imx_uart = {.widest = 4, .reset = reset, .read = read_part, .steady = steady, .write = write_part, .advance = advance,
                                      .input = input, .quiet = quiet};
