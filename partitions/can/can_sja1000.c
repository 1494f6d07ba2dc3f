/* SJA1000 (NXP SJA1000 data sheet) behind I/O ports, in its PeliCAN mode, with a crystal of 16 MHz. It
 * has room for one frame to send; others wait in a queue for its interrupt. */
#if defined(__i386__) || defined(__x86_64__)
#include "can.h"

enum { MODE = 0, COMMAND = 1, STATUS = 2, INTERRUPT = 3, ENABLE = 4, TIMING0 = 6, TIMING1 = 7, OUTPUT = 8, BUFFER = 16, CODE = 16,
       MASK = 20, DIVIDER = 31 };

#define MODE_RESET 0x01u
#define COMMAND_SEND 0x01u
#define COMMAND_RELEASE 0x04u
#define COMMAND_CLEAR_OVERRUN 0x08u
#define STATUS_RECEIVED 0x01u
#define STATUS_OVERRUN 0x02u
#define STATUS_FREE 0x04u
#define INTERRUPT_RECEIVED 0x01u
#define INTERRUPT_SENT 0x02u
#define INTERRUPT_ERRORS 0x04u /* bus-off, too */
#define ALWAYS (INTERRUPT_RECEIVED | INTERRUPT_ERRORS)
#define DIVIDER_PELICAN 0xc0u /* and no use of the comparator */
#define OUTPUT_NORMAL 0xdau
#define TIMING0_1_MBIT 0x00u /* 8 MHz, 8 quanta: 1 + 5 + 2 */
#define TIMING1_1_MBIT 0x14u
#define INFO_EXTENDED 0x80u
#define INFO_REMOTE 0x40u

#define QUEUE 32u

static uint16_t base;
static struct can_frame queue[QUEUE];
static volatile uint32_t head, fill;
static volatile bool busy; /* the program is at the queue, which the handler is to leave alone */

static void out(uint32_t number, uint32_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)value), "Nd"((uint16_t)(base + number)));
}

static uint8_t in(uint32_t number)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)(base + number)));
    return value;
}

void can_open(const struct khs_start_device *device)
{
    base = (uint16_t)device->address;
    out(MODE, MODE_RESET);
    while (!(in(MODE) & MODE_RESET)) {
    }
    out(DIVIDER, DIVIDER_PELICAN);
    for (uint32_t i = 0; i < 4; i++) {
        out(CODE + i, 0);
        out(MASK + i, 0xff); /* no bit matters */
    }
    out(TIMING0, TIMING0_1_MBIT);
    out(TIMING1, TIMING1_1_MBIT);
    out(OUTPUT, OUTPUT_NORMAL);
    (void)in(INTERRUPT);
    out(ENABLE, ALWAYS);
    do
        out(MODE, 0);
    while (in(MODE) & MODE_RESET);
}

static void put(const struct can_frame *frame)
{
    uint32_t size = frame->extended ? 4 : 2, id = frame->extended ? frame->id << 3 : frame->id << 21;
    out(BUFFER, (frame->extended ? INFO_EXTENDED : 0) | (frame->remote ? INFO_REMOTE : 0) | frame->size);
    for (uint32_t i = 0; i < size; i++)
        out(BUFFER + 1 + i, id >> (24 - 8 * i));
    for (uint32_t i = 0; i < frame->size && !frame->remote; i++)
        out(BUFFER + 1 + size + i, frame->data[i]);
    out(COMMAND, COMMAND_SEND);
}

static bool has_room(void) { return !busy && fill > 0 && (in(STATUS) & STATUS_FREE); }

/* What waits, if there is room; while more does, the chip says when. So often that nothing is missed
 * that came meanwhile. */
static void go_on(void)
{
    do {
        while (has_room()) {
            busy = true;
            put(&queue[head]);
            head = (head + 1) % QUEUE;
            fill--;
            busy = false;
        }
        out(ENABLE, fill > 0 ? ALWAYS | INTERRUPT_SENT : ALWAYS);
    } while (has_room());
}

bool can_read(struct can_frame *frame)
{
    if (!(in(STATUS) & STATUS_RECEIVED)) {
        (void)in(INTERRUPT);
        if (in(MODE) & MODE_RESET) /* bus-off: back, as soon as the bus was idle for long enough */
            out(MODE, 0);
        go_on();
        return false;
    }
    uint8_t info = in(BUFFER);
    uint32_t size = info & INFO_EXTENDED ? 4 : 2, id = 0;
    for (uint32_t i = 0; i < size; i++)
        id = id << 8 | in(BUFFER + 1 + i);
    frame->extended = info & INFO_EXTENDED;
    frame->remote = info & INFO_REMOTE;
    frame->id = frame->extended ? id >> 3 : id >> 5;
    frame->size = (info & 15) < 8 ? info & 15 : 8;
    for (uint32_t i = 0; i < frame->size && !frame->remote; i++)
        frame->data[i] = in(BUFFER + 1 + size + i);
    out(COMMAND, COMMAND_RELEASE);
    return true;
}

void can_send(const struct can_frame *frame)
{
    while (fill == QUEUE)
        go_on();
    busy = true;
    queue[(head + fill) % QUEUE] = *frame;
    fill++;
    busy = false;
    go_on();
}

bool can_lost(void)
{
    bool lost = in(STATUS) & STATUS_OVERRUN;
    if (lost)
        out(COMMAND, COMMAND_CLEAR_OVERRUN);
    return lost;
}
#endif
