/* Two FIFOs and two shift registers, in virtual time. From outside a character comes when the
 * receiver is on and has room: whoever sends is held up, as by RTS and CTS, and loses nothing. Only
 * what the UART sends itself, in loop-back, can overrun it. */
#include <string.h>

#include "uart.h"

#define BAUD_MOST 5000000u
#define TICKS_MOST (1u << 30)
#define AGE 8u /* characters after which what came in is old */

static bool put(khs_byte_queue *queue, uint32_t depth, uint8_t byte)
{
    if (queue->fill >= depth)
        return false;
    queue->bytes[(queue->head + queue->fill++) % KHS_UART_DEPTH] = byte;
    return true;
}

static int get(khs_byte_queue *queue)
{
    if (queue->fill == 0)
        return KHS_UART_NONE;
    uint8_t byte = queue->bytes[queue->head];
    queue->head = (queue->head + 1) % KHS_UART_DEPTH;
    queue->fill--;
    return byte;
}

void khs_uart_empty(khs_byte_queue *queue) { *queue = (khs_byte_queue){0}; }

/* When something happens by itself next. */
static void schedule(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    d->state->next = KHS_AT_NO_TIME;
    khs_device_at(d, u->received_at);
    khs_device_at(d, u->sent_at);
    khs_device_at(d, u->aged_at);
}

static void touch(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    u->aged_at = u->received.fill > 0 ? d->state->now + (uint64_t)AGE * u->character : KHS_AT_NO_TIME;
}

void khs_uart_clear(khs_device *d, uint32_t depth)
{
    khs_uart *u = &d->state->uart;
    *u = (khs_uart){.depth = depth, .received_at = KHS_AT_NO_TIME, .sent_at = KHS_AT_NO_TIME, .aged_at = KHS_AT_NO_TIME};
    khs_uart_speed(d, BAUD_MOST, 10);
    schedule(d);
}

void khs_uart_speed(khs_device *d, uint64_t baud, uint32_t bits)
{
    uint64_t hz = d->host->config->clock_hz;
    baud = baud == 0 ? 1 : baud > BAUD_MOST ? BAUD_MOST : baud;
    uint64_t ticks = (hz * bits + baud - 1) / baud;
    d->state->uart.character = ticks > TICKS_MOST ? TICKS_MOST : (uint32_t)ticks;
}

static void start_to_send(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    if (!u->sends || u->sent_at != KHS_AT_NO_TIME || u->to_send.fill == 0)
        return;
    u->shifting = (uint8_t)get(&u->to_send);
    u->sent_at = d->state->now + u->character;
}

static void start_to_receive(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    if (!u->receives || u->loops || u->received_at != KHS_AT_NO_TIME || u->received.fill >= u->depth)
        return;
    int byte = khs_device_take(d);
    if (byte < 0)
        return;
    u->coming = (uint8_t)byte;
    u->received_at = d->state->now + u->character;
}

void khs_uart_go_on(khs_device *d)
{
    start_to_send(d);
    start_to_receive(d);
    schedule(d);
}

static void receive(khs_device *d, uint8_t byte)
{
    khs_uart *u = &d->state->uart;
    if (!put(&u->received, u->depth, byte)) {
        if (!u->overrun)
            khs_device_fault(d, KHS_HOST_OVERRUN);
        u->overrun = true;
        d->state->overruns++;
    }
    touch(d);
}

static void sent(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    u->sent_at = KHS_AT_NO_TIME;
    if (!u->loops)
        khs_device_put(d, u->shifting);
    else if (u->receives)
        receive(d, u->shifting);
}

void khs_uart_advance(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    if (u->sent_at <= d->state->now)
        sent(d);
    if (u->received_at <= d->state->now) {
        u->received_at = KHS_AT_NO_TIME;
        receive(d, u->coming);
    }
    if (u->aged_at <= d->state->now) {
        u->aged = true;
        u->aged_at = KHS_AT_NO_TIME;
    }
    khs_uart_go_on(d);
}

int khs_uart_fetch(khs_device *d)
{
    khs_uart *u = &d->state->uart;
    int byte = get(&u->received);
    u->aged = false;
    touch(d);
    khs_uart_go_on(d);
    return byte;
}

void khs_uart_send(khs_device *d, uint8_t character)
{
    put(&d->state->uart.to_send, d->state->uart.depth, character);
    khs_uart_go_on(d);
}

bool khs_uart_is_idle(const khs_uart *u)
{
    return u->to_send.fill == 0 && u->sent_at == KHS_AT_NO_TIME;
}

/* ------------------------------------------------------------ what is to come */

/* When `count` characters are complete, one behind the other, of which the first is at `first`. */
static uint64_t after(const khs_uart *u, uint64_t first, uint32_t count)
{
    return first == KHS_AT_NO_TIME ? first : first + (uint64_t)(count - 1) * u->character;
}

/* In loop-back what is sent comes in. */
static uint64_t next_in(const khs_uart *u)
{
    return u->loops ? khs_least(u->sent_at, u->received_at) : u->received_at;
}

uint64_t khs_uart_will_hold(const khs_uart *u, uint32_t count)
{
    return after(u, next_in(u), u->loops ? 1 : count - u->received.fill);
}

uint64_t khs_uart_will_leave(const khs_uart *u, uint32_t count)
{
    return after(u, u->sent_at, u->to_send.fill - count);
}

uint64_t khs_uart_will_idle(const khs_uart *u)
{
    return after(u, u->sent_at, u->to_send.fill + 1);
}

/* Whatever comes in before makes it young again. */
uint64_t khs_uart_will_age(const khs_uart *u)
{
    uint64_t next = next_in(u);
    return next > u->aged_at ? u->aged_at : next == KHS_AT_NO_TIME ? next : next + (uint64_t)AGE * u->character;
}

uint64_t khs_uart_will_overrun(const khs_uart *u)
{
    return u->loops || u->received.fill >= u->depth ? next_in(u) : KHS_AT_NO_TIME;
}
