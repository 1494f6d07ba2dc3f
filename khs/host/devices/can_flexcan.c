/* FlexCAN of the i.MX 6 (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 26): 64
 * mailboxes, masks, FIFO, loop-back, listen-only, error counters. Its protocol engine runs at 30 MHz.
 * Without low power and waking, glitch filter, CRC and test registers. The timer counts on in freeze
 * mode. */
#include "can_flexcan.h"

static void set_code(khs_flexcan *f, uint32_t box, uint32_t code)
{
    f->boxes[box][0] = (f->boxes[box][0] & ~(15u << 24)) | code << 24;
}

void khs_flexcan_set_line(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    d->state->lines = (f->enabled & f->flagged) != 0 || ((f->status & ESR1_ERROR) && (f->control & CTRL1_ERRORS)) ||
                     ((f->status & ESR1_WENT_OFF) && (f->control & CTRL1_OFF)) ||
                     ((f->status & ESR1_SEND_WARNING) && (f->control & CTRL1_SEND_WARNINGS)) ||
                     ((f->status & ESR1_RECEIVE_WARNING) && (f->control & CTRL1_RECEIVE_WARNINGS));
}

/* Bits of the bus since the timer was 0. */
uint32_t khs_flexcan_timer(khs_device *d, uint64_t tick)
{
    const khs_can_rate *rate = &d->state->can.rate;
    unsigned __int128 clocks = (unsigned __int128)(tick - flexcan(d)->timer_at) * rate->hz;
    return (uint32_t)(clocks / ((uint64_t)d->host->config->clock_hz * rate->quanta)) & 0xffff;
}

/* ------------------------------------------------------------ mailboxes */

static bool is_extended(const khs_can_frame *frame) { return frame->id & KHS_CAN_EXTENDED; }
static bool is_remote(const khs_can_frame *frame) { return frame->id & KHS_CAN_REMOTE; }

void khs_flexcan_fill(uint32_t *box, const khs_can_frame *frame, uint32_t stamp)
{
    box[0] = (box[0] & 15u << 24) | (is_extended(frame) ? BOX_SUBSTITUTE | BOX_EXTENDED : 0) |
             (is_remote(frame) ? BOX_REMOTE : 0) | (uint32_t)frame->size << 16 | (stamp & 0xffff);
    box[1] = is_extended(frame) ? frame->id & 0x1fffffff : (frame->id & 0x7ff) << 18;
    for (uint32_t i = 0; i < 2 && !is_remote(frame); i++)
        box[2 + i] = (uint32_t)frame->data[4 * i] << 24 | frame->data[4 * i + 1] << 16 | frame->data[4 * i + 2] << 8 | frame->data[4 * i + 3];
}

static khs_can_frame frame_of(const uint32_t *box)
{
    uint32_t size = box[0] >> 16 & 15, code = CODE(box[0]);
    khs_can_frame frame = {.size = (uint8_t)(size < 8 ? size : 8)};
    bool extended = box[0] & BOX_EXTENDED, remote = (box[0] & BOX_REMOTE) && code == TX_DATA;
    frame.id = extended ? (box[1] & 0x1fffffff) | KHS_CAN_EXTENDED : box[1] >> 18 & 0x7ff;
    if (remote)
        frame.id |= KHS_CAN_REMOTE;
    for (uint32_t i = 0; i < frame.size && !remote; i++)
        frame.data[i] = (uint8_t)(box[2 + i / 4] >> 8 * (3 - i % 4));
    return frame;
}

/* The mailbox that goes first, NONE if there is nothing to send. */
static uint32_t pick(const khs_flexcan *f)
{
    uint32_t found = NONE;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = khs_flexcan_first(f); i <= khs_flexcan_last(f); i++) {
        if (!is_to_send(f, i))
            continue;
        khs_can_frame frame = frame_of(f->boxes[i]);
        uint64_t priority = f->module & MCR_PRIORITY ? f->boxes[i][1] >> 29 : 0;
        uint64_t key = f->control & CTRL1_LOWEST_BOX ? i : priority << 32 | khs_can_key(&frame);
        if (key < least) {
            least = key;
            found = i;
        }
    }
    return found;
}

static bool matches(const khs_flexcan *f, uint32_t i, const khs_can_frame *frame)
{
    uint32_t mask = f->module & MCR_INDIVIDUAL ? f->individual[i] : i == 14 ? f->mask14 : i == 15 ? f->mask15 : f->global_mask;
    bool all = f->control2 & CTRL2_COMPARES_ALL;
    const uint32_t *box = f->boxes[i];
    uint32_t id = is_extended(frame) ? frame->id & 0x1fffffff : (frame->id & 0x7ff) << 18;
    uint32_t cared = mask & (is_extended(frame) ? 0x1fffffffu : 0x1ffc0000u);
    if ((!all || (mask & 1u << 30)) && is_extended(frame) != ((box[0] & BOX_EXTENDED) != 0))
        return false;
    if (all && (mask & 1u << 31) && is_remote(frame) != ((box[0] & BOX_REMOTE) != 0))
        return false;
    return ((box[1] ^ id) & cared) == 0;
}

/* The mailbox for a frame, NONE if none is; `free`: nothing unread is in it. */
static uint32_t find(const khs_flexcan *f, const khs_can_frame *frame, bool *free)
{
    uint32_t found = NONE;
    *free = false;
    for (uint32_t i = khs_flexcan_first(f); i <= khs_flexcan_last(f); i++) {
        uint32_t code = CODE(f->boxes[i][0]);
        if ((code != RX_EMPTY && code != RX_FULL && code != RX_OVERRUN) || !matches(f, i, frame))
            continue;
        found = i;
        *free = code == RX_EMPTY || (f->serviced & bit(i));
        if (*free || !(f->module & MCR_INDIVIDUAL))
            break;
    }
    return found;
}

static void store(khs_device *d, uint32_t i, const khs_can_frame *frame, uint32_t stamp)
{
    khs_flexcan *f = flexcan(d);
    bool free = CODE(f->boxes[i][0]) == RX_EMPTY || (f->serviced & bit(i));
    khs_flexcan_fill(f->boxes[i], frame, stamp);
    set_code(f, i, free ? RX_FULL : RX_OVERRUN);
    f->serviced &= ~bit(i);
    f->flagged |= bit(i);
    if (!free)
        khs_can_overrun(d);
    if (i == 0 && (f->control & CTRL1_RESETS_TIMER))
        f->timer_at = khs_can_wire_of(d)->begun_at;
}

/* A request is answered by the mailbox that has the answer. */
static void answer(khs_flexcan *f, const khs_can_frame *frame)
{
    for (uint32_t i = khs_flexcan_first(f); i <= khs_flexcan_last(f); i++)
        if (CODE(f->boxes[i][0]) == RX_ANSWER && matches(f, i, frame)) {
            set_code(f, i, TX_ANSWER);
            return;
        }
}

/* What the driver reads waits for its end; of what comes meanwhile the last. */
static void put(khs_device *d, uint32_t i, const khs_can_frame *frame, uint32_t stamp)
{
    khs_flexcan *f = flexcan(d);
    if (i != f->locked) {
        store(d, i, frame, stamp);
        return;
    }
    if (f->is_parked)
        khs_can_overrun(d);
    f->is_parked = true;
    f->parked = *frame;
    f->parked_stamp = (uint16_t)stamp;
}

static void receive(khs_device *d, const khs_can_frame *frame)
{
    khs_flexcan *f = flexcan(d);
    bool free, first = f->control2 & CTRL2_BOXES_FIRST;
    uint32_t stamp = khs_flexcan_timer(d, khs_can_wire_of(d)->begun_at);
    int filter = f->module & MCR_FIFO ? khs_flexcan_filter(f, frame) : -1;
    if (filter < 0 && is_remote(frame) && !(f->control2 & CTRL2_STORES_REMOTE)) {
        answer(f, frame);
        return;
    }
    uint32_t box = find(f, frame, &free);
    bool queued = filter >= 0 && !(first && free);
    if (queued && !khs_flexcan_fifo_is_full(f))
        khs_flexcan_fifo_put(d, frame, stamp, (uint32_t)filter);
    else if (box != NONE)
        put(d, box, frame, stamp);
    else if (queued)
        khs_flexcan_fifo_overflow(d);
}

void khs_flexcan_unlock(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    uint32_t i = f->locked;
    f->locked = NONE;
    if (i == NONE)
        return;
    f->serviced |= bit(i);
    if (f->is_parked)
        store(d, i, &f->parked, f->parked_stamp);
    f->is_parked = false;
}

/* ------------------------------------------------------------ what the bus tells */

static bool ready(khs_device *d, khs_can_frame *frame)
{
    khs_flexcan *f = flexcan(d);
    uint32_t i = pick(f);
    if (i != NONE)
        *frame = frame_of(f->boxes[i]);
    return i != NONE;
}

static void begun(khs_device *d)
{
    flexcan(d)->sending = pick(flexcan(d));
    flexcan(d)->aborting = false;
}

static void lost(khs_device *d, uint32_t at)
{
    (void)d;
    (void)at;
}

static void sent(khs_device *d, const khs_can_frame *frame)
{
    khs_flexcan *f = flexcan(d);
    uint32_t i = f->sending;
    f->sending = NONE;
    if (i != NONE) {
        bool answered = CODE(f->boxes[i][0]) == TX_ANSWER;
        set_code(f, i, answered ? RX_ANSWER : is_remote(frame) ? RX_EMPTY : TX_INACTIVE);
        f->boxes[i][0] = (f->boxes[i][0] & 0xffff0000u) | khs_flexcan_timer(d, khs_can_wire_of(d)->begun_at);
        f->flagged |= bit(i);
    }
    if (!(f->module & MCR_NO_SELF))
        receive(d, frame);
    khs_flexcan_set_line(d);
}

static void failed(khs_device *d, const khs_can_error *error, bool is_sender)
{
    static const uint32_t bits[] = {[KHS_CAN_BIT0] = ESR1_BIT0, [KHS_CAN_BIT1] = ESR1_BIT1, [KHS_CAN_FORM] = ESR1_FORM,
                                    [KHS_CAN_STUFF] = ESR1_STUFF, [KHS_CAN_NO_ACK] = ESR1_NO_ACK};
    khs_flexcan *f = flexcan(d);
    f->status |= bits[error->kind] | ESR1_ERROR;
    if (is_sender && f->aborting && f->sending != NONE) {
        set_code(f, f->sending, TX_ABORT);
        f->flagged |= bit(f->sending);
    }
    if (is_sender)
        f->sending = NONE;
    khs_flexcan_set_line(d);
}

/* It comes back by itself, unless CTRL1 has BOFF_REC. */
static void off(khs_device *d)
{
    flexcan(d)->status |= ESR1_WENT_OFF;
    khs_can_recover(d);
}

static void heard(khs_device *d, const khs_can_frame *frame)
{
    receive(d, frame);
    khs_flexcan_set_line(d);
}

static void counted(khs_device *d)
{
    khs_flexcan *f = flexcan(d);
    uint8_t warned = (uint8_t)((d->state->can.send_errors >= 96) | (d->state->can.receive_errors >= 96) << 1);
    uint8_t fresh = f->module & MCR_WARN ? warned & ~f->warned : 0;
    f->status |= (fresh & 1 ? ESR1_SEND_WARNING : 0) | (fresh & 2 ? ESR1_RECEIVE_WARNING : 0);
    f->warned = warned;
    khs_flexcan_set_line(d);
}

const khs_can_calls khs_can_flexcan = {ready, begun, lost, sent, failed, heard, counted, off};
