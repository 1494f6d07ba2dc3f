/* FlexCAN (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 26): its FIFO receives,
 * and one mailbox sends. */
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
#define SEND 8u /* mailbox: the FIFO has those before */
#define CODE_INACTIVE (8u << 24)
#define CODE_SEND (12u << 24)
#define CODE_MASK (15u << 24)
#define SUBSTITUTE (1u << 22)
#define EXTENDED (1u << 21)
#define REMOTE (1u << 20)

static uintptr_t base;

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
    *at(MCR) = MCR_FREEZE | MCR_HALT | MCR_FIFO | MCR_SUPERVISOR | MCR_NO_SELF | SEND;
    *at(CTRL1) = CTRL1_1_MBIT;
    *at(CTRL2) = CTRL2_RESET;
    for (uint32_t i = 0; i <= SEND; i++)
        for (uint32_t word = 0; word < 4; word++)
            box(i)[word] = 0; /* the FIFO's eight filters too */
    *at(RXFGMASK) = 0;        /* of which no bit matters */
    *box(SEND) = CODE_INACTIVE;
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

void can_send(const struct can_frame *frame)
{
    uint32_t words[2] = {0, 0};
    while ((*box(SEND) & CODE_MASK) == CODE_SEND) {
    }
    for (uint32_t i = 0; i < frame->size && i < 8; i++)
        words[i / 4] |= (uint32_t)frame->data[i] << 8 * (3 - i % 4);
    box(SEND)[1] = frame->extended ? frame->id : frame->id << 18;
    box(SEND)[2] = words[0];
    box(SEND)[3] = words[1];
    *box(SEND) = CODE_SEND | (frame->extended ? SUBSTITUTE | EXTENDED : 0) | (frame->remote ? REMOTE : 0) | (uint32_t)frame->size << 16;
}

bool can_lost(void)
{
    bool lost = *at(IFLAG1) & FLAG_OVERFLOW;
    if (lost)
        *at(IFLAG1) = FLAG_OVERFLOW;
    return lost;
}
#endif
