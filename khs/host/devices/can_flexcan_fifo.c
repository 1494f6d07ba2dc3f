/* FlexCAN's receive FIFO: six frames, which appear one by one in mailbox 0, and a table of filters in
 * the mailboxes from 6 on. */
#include "can_flexcan.h"

#define FORMAT(module) ((module) >> 8 & 3) /* IDAM */
#define TABLE 6u
#define AVAILABLE 5u
#define WARNING 6u
#define OVERFLOW 7u
#define MASKS_MOST 32u

/* What filters are compared with, of the three formats: identifier and flags, halves, bytes. */
static uint32_t wanted(const khs_can_frame *frame, uint32_t format)
{
    uint32_t is_extended = frame->id & KHS_CAN_EXTENDED ? 1 : 0, is_remote = frame->id & KHS_CAN_REMOTE ? 1 : 0;
    uint32_t id = frame->id & 0x1fffffff;
    switch (format) {
    case 0: return is_remote << 31 | is_extended << 30 | (is_extended ? id << 1 : id << 19);
    case 1: return (is_remote << 15 | is_extended << 14 | (is_extended ? id >> 15 : id << 3)) & 0xffff;
    default: return is_extended ? id >> 21 & 0xff : id >> 3 & 0xff;
    }
}

static uint32_t filters(const khs_flexcan *f) { return 8u * ((f->control2 >> 24 & 15) + 1); }

int khs_flexcan_filter(const khs_flexcan *f, const khs_can_frame *frame)
{
    uint32_t format = FORMAT(f->module), width = format == 0 ? 32 : format == 1 ? 16 : 8;
    uint32_t individual = 8 + 2 * (f->control2 >> 24 & 15), want = wanted(frame, format);
    uint32_t care = width == 32 ? UINT32_MAX : (1u << width) - 1;
    if (format == 3)
        return -1;
    for (uint32_t i = 0; i < filters(f); i++) {
        bool own = (f->module & MCR_INDIVIDUAL) && i < individual && i < MASKS_MOST;
        uint32_t mask = own ? f->individual[i] : f->fifo_mask, word = f->boxes[TABLE + i / 4][i % 4];
        for (uint32_t shift = 32; shift > 0;) {
            shift -= width;
            if ((((word ^ want << shift) & mask) >> shift & care) == 0)
                return (int)i;
        }
    }
    return -1;
}

uint32_t khs_flexcan_first(const khs_flexcan *f)
{
    return f->module & MCR_FIFO ? TABLE + filters(f) / 4 : 0;
}

bool khs_flexcan_fifo_is_full(const khs_flexcan *f) { return f->fifo_fill == KHS_FLEXCAN_FIFO; }

static void show(khs_flexcan *f)
{
    uint32_t i = f->fifo_head;
    if (f->fifo_fill == 0)
        return;
    f->flagged |= 1u << AVAILABLE;
    khs_flexcan_fill(f->boxes[0], &f->fifo[i], f->fifo_stamps[i]);
}

void khs_flexcan_fifo_put(khs_device *d, const khs_can_frame *frame, uint32_t stamp, uint32_t hit)
{
    khs_flexcan *f = flexcan(d);
    uint32_t i = (f->fifo_head + f->fifo_fill++) % KHS_FLEXCAN_FIFO;
    f->fifo[i] = *frame;
    f->fifo_stamps[i] = (uint16_t)stamp;
    f->fifo_hits[i] = (uint16_t)hit;
    if (f->fifo_fill == KHS_FLEXCAN_FIFO - 1)
        f->flagged |= 1u << WARNING;
    if (f->fifo_fill == 1)
        show(f);
}

void khs_flexcan_fifo_overflow(khs_device *d)
{
    flexcan(d)->flagged |= 1u << OVERFLOW;
    khs_can_overrun(d);
}

void khs_flexcan_fifo_next(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    if (f->fifo_fill == 0)
        return;
    f->fifo_head = (f->fifo_head + 1) % KHS_FLEXCAN_FIFO;
    f->fifo_fill--;
    show(f);
}
