/* FlexCAN: what its driver sees of it. */
#include "can_flexcan.h"

#define PROTOCOL_HZ 30000000u

enum { MCR = 0x00, CTRL1 = 0x04, TIMER = 0x08, RXMGMASK = 0x10, RX14MASK = 0x14, RX15MASK = 0x18, ECR = 0x1c, ESR1 = 0x20,
       IMASK2 = 0x24, IMASK1 = 0x28, IFLAG2 = 0x2c, IFLAG1 = 0x30, CTRL2 = 0x34, ESR2 = 0x38, RXFGMASK = 0x48, RXFIR = 0x4c,
       BOXES = 0x80, BOXES_END = 0x480, RXIMR = 0x880, RXIMR_END = 0x980 };


static void apply(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    uint32_t c = f->control;
    khs_can_set_rate(d, PROTOCOL_HZ, ((c >> 24) + 1) * (4 + (c >> 19 & 7) + (c >> 16 & 7) + (c & 7)));
    khs_can_stay_off(d, c & CTRL1_STAYS_OFF);
    khs_can_set(d, !is_disabled(f) && !is_frozen(f), c & CTRL1_LISTEN, c & CTRL1_LOOP);
}

static void soft_reset(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    khs_can_set(d, false, false, false);
    f->module = MCR_RESET | (f->module & MCR_DISABLE);
    f->status = f->warned = 0;
    f->enabled = f->flagged = f->serviced = 0;
    f->sending = f->locked = NONE;
    f->is_parked = false;
    f->fifo_fill = 0;
    f->timer_at = d->state->now;
    khs_can_forget_errors(d);
}

static void reset(khs_device *d)
{
    khs_can_clear(d);
    khs_flexcan *f = flexcan(d);
    f->control2 = CTRL2_RESET;
    f->global_mask = f->mask14 = f->mask15 = f->fifo_mask = UINT32_MAX;
    soft_reset(d);
    apply(d);
}

static void write_module(khs_device *d, uint32_t value)
{
    khs_flexcan *f = flexcan(d);
    if (value & MCR_SOFT_RESET) {
        soft_reset(d);
    } else {
        uint32_t open = MCR_ANY | (is_frozen(f) || is_disabled(f) ? MCR_KEPT : 0);
        if ((value ^ f->module) & open & MCR_FIFO)
            f->fifo_fill = 0;
        f->module = (f->module & ~open) | (value & open);
    }
    apply(d);
}

static uint32_t read_module(const khs_flexcan *f)
{
    bool frozen = is_frozen(f) && !is_disabled(f);
    return (f->module & (MCR_ANY | MCR_KEPT)) | (frozen || is_disabled(f) ? MCR_NOT_READY : 0) | (frozen ? MCR_FROZEN : 0) |
           (is_disabled(f) ? MCR_DISABLED : 0);
}

static uint32_t read_status(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    const khs_can *c = &d->state->can;
    const khs_can_wire *w = khs_can_wire_of(d);
    bool busy = w->ends_at != KHS_AT_NO_TIME, own = busy && w->sender == d->number && !w->is_outside;
    uint32_t value = f->status | (c->on && !c->is_off ? ESR1_SYNCHRONOUS : 0) | (c->send_errors >= 96 ? ESR1_SENDS_BADLY : 0) |
                     (c->receive_errors >= 96 ? ESR1_RECEIVES_BADLY : 0) | (c->on && !busy ? ESR1_IDLE : 0) |
                     (c->on && own ? ESR1_SENDING : 0) | (c->on && busy && !own ? ESR1_RECEIVING : 0) |
                     (khs_can_level_of(c) == KHS_CAN_PASSIVE ? ESR1_PASSIVE : 0) | (c->is_off ? ESR1_OFF : 0);
    f->status &= ~ESR1_READ_CLEARS;
    return value;
}

/* Reading the first word of a mailbox that receives locks it until another's is read, or the timer. */
static uint32_t read_box(khs_device *d, uint32_t box, uint32_t word)
{
    khs_flexcan *f = flexcan(d);
    if (word == 0 && box >= khs_flexcan_first(f) && box != f->locked) {
        uint32_t code = CODE(f->boxes[box][0]);
        khs_flexcan_unlock(d);
        if (code == RX_FULL || code == RX_OVERRUN)
            f->locked = box;
    }
    return f->boxes[box][word];
}

/* As it is, without what reading it does. */
static uint32_t *plain(khs_flexcan *f, uint32_t offset)
{
    switch (offset) {
    case CTRL1: return &f->control;
    case CTRL2: return &f->control2;
    case RXMGMASK: return &f->global_mask;
    case RX14MASK: return &f->mask14;
    case RX15MASK: return &f->mask15;
    case RXFGMASK: return &f->fifo_mask;
    default: break;
    }
    if (offset >= BOXES && offset < BOXES_END)
        return &f->boxes[(offset - BOXES) / 16][(offset - BOXES) / 4 % 4];
    return offset >= RXIMR && offset < RXIMR_END ? &f->individual[(offset - RXIMR) / 4] : NULL;
}

static uint32_t read_register(khs_device *d, uint32_t offset)
{
    khs_flexcan *f = flexcan(d);
    const khs_can *c = &d->state->can;
    switch (offset) {
    case MCR: return read_module(f);
    case TIMER: khs_flexcan_unlock(d); return khs_flexcan_timer(d, d->state->now);
    case ECR: return c->is_off ? khs_can_sequences(d) : (c->receive_errors & 0xff) << 8 | (c->send_errors & 0xff);
    case ESR1: return read_status(d);
    case IMASK1: return (uint32_t)f->enabled;
    case IMASK2: return (uint32_t)(f->enabled >> 32);
    case IFLAG1: return (uint32_t)f->flagged;
    case IFLAG2: return (uint32_t)(f->flagged >> 32);
    case RXFIR: return f->fifo_hits[f->fifo_head];
    default: break;
    }
    if (offset >= BOXES && offset < BOXES_END)
        return read_box(d, (offset - BOXES) / 16, (offset - BOXES) / 4 % 4);
    return plain(f, offset) != NULL ? *plain(f, offset) : 0;
}

/* A mailbox whose frame is on the bus is given up at the end of that, or not at all. */
static void write_code(khs_device *d, uint32_t box, uint32_t value)
{
    khs_flexcan *f = flexcan(d);
    bool aborts = CODE(value) == TX_ABORT && (f->module & MCR_ABORT) && is_to_send(f, box);
    if (aborts && f->sending == box) {
        f->aborting = true;
        return;
    }
    if (f->sending == box)
        f->sending = NONE;
    if (f->locked == box)
        khs_flexcan_unlock(d);
    f->boxes[box][0] = value & 0x0f7fffffu;
    f->serviced &= ~bit(box);
    if (aborts)
        f->flagged |= bit(box);
    khs_can_go_on(d);
}

/* IFLAG1: with the FIFO on, its first flag is that there is a frame, and clearing it takes that. */
static void clear_flags(khs_device *d, uint64_t value)
{
    khs_flexcan *f = flexcan(d);
    bool next = (f->module & MCR_FIFO) && (value & f->flagged & bit(5));
    f->flagged &= ~value;
    if (next)
        khs_flexcan_fifo_next(d);
}

static void write_errors(khs_device *d, uint32_t value)
{
    if (!is_frozen(flexcan(d)))
        return;
    d->state->can.send_errors = value & 0xff;
    d->state->can.receive_errors = value >> 8 & 0xff;
    khs_can_flexcan.counted(d);
}

static void write_register(khs_device *d, uint32_t offset, uint32_t value)
{
    khs_flexcan *f = flexcan(d);
    uint32_t open = is_frozen(f) ? UINT32_MAX : offset == CTRL1 ? CTRL1_ANY : 0;
    uint32_t *at = plain(f, offset);
    switch (offset) {
    case MCR: write_module(d, value); return;
    case TIMER: f->timer_at = d->state->now - khs_can_ticks(d, &d->state->can.rate, value & 0xffff); return;
    case ECR: write_errors(d, value); return;
    case ESR1: f->status &= ~(value & ESR1_INTERRUPTS); return;
    case IMASK1: f->enabled = (f->enabled & ~0xffffffffull) | value; return;
    case IMASK2: f->enabled = (f->enabled & 0xffffffff) | (uint64_t)value << 32; return;
    case IFLAG1: clear_flags(d, value); return;
    case IFLAG2: clear_flags(d, (uint64_t)value << 32); return;
    default: break;
    }
    if (offset >= BOXES && offset < BOXES_END) {
        if ((offset & 15) == 0)
            write_code(d, (offset - BOXES) / 16, value);
        else
            *at = value;
    } else if (at != NULL) {
        *at = (*at & ~open) | (value & open);
        if (offset == CTRL1)
            apply(d);
    }
}

/* Registers have 32 bits. What is written to a part of one leaves the rest, or clears nothing there. */
static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    uint32_t value = read_register(d, offset & ~3u) >> 8 * (offset & 3);
    khs_flexcan_set_line(d);
    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    khs_flexcan *f = flexcan(d);
    uint32_t shift = 8 * (offset & 3), part = size == 4 ? UINT32_MAX : ((1u << 8 * size) - 1) << shift;
    uint32_t whole = offset & ~3u, *at = plain(f, whole);
    uint32_t rest = size == 4 ? 0 : at != NULL ? *at : whole == MCR ? f->module : 0;
    write_register(d, whole, (rest & ~part) | (value << shift & part));
    khs_flexcan_set_line(d);
}

const khs_model khs_model_flexcan = {.widest = 4, .record = KHS_CAN_RECORD, .reset = reset, .read = read_part, .write = write_part, .advance = khs_can_advance, .input = khs_can_input, .is_prompt = true};
