/* FlexCAN (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 26): its FIFO receives,
 * and the mailboxes behind it send. Of equal identifiers the lowest mailbox goes first, so they are
 * filled in turn, and the first again when all are sent. */
#ifdef __arm__
#include "can.h"

enum { MCR = 0x00, CTRL1 = 0x04, ESR1 = 0x20, IMASK1 = 0x28, IFLAG1 = 0x30, CTRL2 = 0x34, RXFGMASK = 0x48, BOXES = 0x80 };

#define MCR_DISABLE (1u << 31)
#define MCR_FREEZE (1u << 30)
#define MCR_FIFO (1u << 29)
#define MCR_HALT (1u << 28)
#define MCR_NOT_READY (1u << 27)
#define MCR_SOFT_RESET (1u << 25)
#define MCR_FROZEN (1u << 24)
#define MCR_SUPERVISOR (1u << 23)
#define MCR_DISABLED (1u << 20)
#define MCR_NO_SELF (1u << 17)
#define CTRL1_1_MBIT (2u << 24 | 2u << 19 | 2u << 16 | 2u) /* 30 MHz / 3, 10 quanta: 1 + 3 + 3 + 3 */
#define CTRL2_RESET 0x00b00000u
#define FLAG_FRAME (1u << 5)
#define FLAG_OVERFLOW (1u << 7)
#define FIRST 8u /* mailbox that sends: the FIFO has those before */
#define LAST 63u
#define CODE_INACTIVE (8u << 24)
#define CODE_SEND (12u << 24)
#define CODE_MASK (15u << 24)
#define SUBSTITUTE (1u << 22)
#define EXTENDED (1u << 21)
#define REMOTE (1u << 20)

static uintptr_t base;
static uint32_t next;

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }
static volatile uint32_t *box(uint32_t number) { return at(BOXES + 16 * number); }

static void until(uint32_t bit, bool set)
{
    while (((*at(MCR) & bit) != 0) != set) {
    }
}

void can_open(const struct khs_start_device *device)
{
    base = (uintptr_t)device->address;
    *at(MCR) &= ~MCR_DISABLE;
    until(MCR_DISABLED, false);
    *at(MCR) |= MCR_SOFT_RESET;
    until(MCR_SOFT_RESET, false);
    *at(MCR) |= MCR_FREEZE | MCR_HALT;
    until(MCR_FROZEN, true);
    *at(MCR) = MCR_FREEZE | MCR_HALT | MCR_FIFO | MCR_SUPERVISOR | MCR_NO_SELF | LAST;
    *at(CTRL1) = CTRL1_1_MBIT;
    *at(CTRL2) = CTRL2_RESET;
    for (uint32_t i = 0; i <= LAST; i++)
        for (uint32_t word = 0; word < 4; word++)
            box(i)[word] = word == 0 && i >= FIRST ? CODE_INACTIVE : 0; /* the FIFO's eight filters too */
    *at(RXFGMASK) = 0;                                                  /* of which no bit matters */
    next = FIRST;
    *at(IFLAG1) = UINT32_MAX;
    *at(IMASK1) = FLAG_FRAME;
    *at(MCR) &= ~(MCR_FREEZE | MCR_HALT);
    until(MCR_NOT_READY, false);
}

bool can_read(struct can_frame *frame)
{
    if (!(*at(IFLAG1) & FLAG_FRAME))
        return false;
    uint32_t head = box(0)[0], id = box(0)[1], size = head >> 16 & 15;
    frame->extended = head & EXTENDED;
    frame->remote = head & REMOTE;
    frame->id = frame->extended ? id & 0x1fffffff : id >> 18 & 0x7ff;
    frame->size = size < 8 ? (uint8_t)size : 8;
    uint32_t words[2] = {box(0)[2], box(0)[3]};
    for (uint32_t i = 0; i < frame->size; i++)
        frame->data[i] = (uint8_t)(words[i / 4] >> 8 * (3 - i % 4));
    *at(IFLAG1) = FLAG_FRAME; /* on to the next */
    return true;
}

static bool is_sending(uint32_t number) { return (*box(number) & CODE_MASK) == CODE_SEND; }

/* The next mailbox: what goes into it comes behind all that waits. */
static volatile uint32_t *room(void)
{
    if (next > LAST) {
        for (uint32_t i = FIRST; i <= LAST; i++)
            while (is_sending(i)) {
            }
        next = FIRST;
    }
    return box(next++);
}

void can_send(const struct can_frame *frame)
{
    uint32_t words[2] = {0, 0};
    volatile uint32_t *to = room();
    for (uint32_t i = 0; i < frame->size && i < 8; i++)
        words[i / 4] |= (uint32_t)frame->data[i] << 8 * (3 - i % 4);
    to[1] = frame->extended ? frame->id : frame->id << 18;
    to[2] = words[0];
    to[3] = words[1];
    to[0] = CODE_SEND | (frame->extended ? SUBSTITUTE | EXTENDED : 0) | (frame->remote ? REMOTE : 0) | (uint32_t)frame->size << 16;
}

bool can_lost(void)
{
    bool lost = *at(IFLAG1) & FLAG_OVERFLOW;
    if (lost)
        *at(IFLAG1) = FLAG_OVERFLOW;
    return lost;
}
#endif
