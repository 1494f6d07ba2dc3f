/* Buses of CAN 2.0 in virtual time. A frame takes the bits it has, those stuffed in between counted
 * exactly; of those who are ready when the bus is idle the lowest identifier goes first, of equals the
 * first controller. A frame that nobody acknowledges costs its sender 8 errors, and comes again.
 *
 * The outside is one more node behind each controller. It sends records (struct can_frame): a frame
 * waits there until the bus is idle, it is its turn, and somebody would acknowledge it. From its first
 * record on it acknowledges what others send, until one with KHS_CAN_ERROR and NO_ACK.
 *
 * Not as on wires: bits are not synchronized, so that a frame begins at any tick; nobody destroys
 * others' frames: who is at another bit rate counts an error, and neither takes the frame nor
 * acknowledges it; equal identifiers with other data do not collide. */
#include <string.h>

#include "can.h"

#define TAIL 10u         /* CRC delimiter, acknowledgement with its delimiter, end of frame */
#define INTERMISSION 3u
#define ERROR_FRAME 6u   /* what one is longer than the end of a good one */
#define RECOVERY (128u * 11u)
#define NO_ACK 0x20u     /* CAN_ERR_ACK */

/* A bus, or a controller's own loop. */
typedef struct khs_can_line {
    khs_device *first;
    khs_can_wire *wire;
    bool loops;
} khs_can_line;

static khs_can *can_of(const khs_device *d) { return &d->state->can; }

static khs_can_line bus_of(khs_device *d)
{
    return (khs_can_line){d->first, &can_of(d->first)->bus, false};
}

static khs_can_line loop_of(khs_device *d) { return (khs_can_line){d, &can_of(d)->loop, true}; }

static khs_can_line line_of(khs_device *d) { return can_of(d)->loops ? loop_of(d) : bus_of(d); }

const khs_can_wire *khs_can_wire_of(const khs_device *d)
{
    return can_of(d)->loops ? &can_of(d)->loop : &can_of(d->first)->bus;
}

/* The next controller of the line, in the order of their numbers. */
static khs_device *next_of(const khs_can_line *l, khs_device *m)
{
    return l->loops || m->peer == l->first ? NULL : m->peer;
}

static const khs_can_calls *calls(const khs_device *d)
{
    return d->model == &khs_model_flexcan ? &khs_can_flexcan : &khs_can_sja1000;
}

static bool takes_part(const khs_can_line *l, const khs_device *m)
{
    const khs_can *c = can_of(m);
    return c->on && !c->is_off && c->loops == l->loops;
}

static void schedule(khs_device *d)
{
    const khs_can *c = can_of(d);
    d->state->next = KHS_AT_NO_TIME;
    khs_device_at(d, c->bus.ends_at);
    khs_device_at(d, c->bus.idle_at);
    khs_device_at(d, c->loop.ends_at);
    khs_device_at(d, c->loop.idle_at);
    khs_device_at(d, c->recovers_at);
}

/* ------------------------------------------------------------ bits */

typedef struct khs_can_coder {
    uint32_t bits, crc, run, last;
} khs_can_coder;

static void code(khs_can_coder *c, uint32_t value, uint32_t count)
{
    while (count-- > 0) {
        uint32_t bit = value >> count & 1;
        c->crc = (c->crc << 1 & 0x7fff) ^ ((c->crc >> 14 ^ bit) & 1 ? 0x4599u : 0u);
        c->run = c->bits > 0 && bit == c->last ? c->run + 1 : 1;
        c->last = bit;
        c->bits++;
        if (c->run == 5) { /* one of the other kind, with which the next run begins */
            c->bits++;
            c->last = !bit;
            c->run = 1;
        }
    }
}

uint32_t khs_can_bits(const khs_can_frame *f)
{
    khs_can_coder c = {0};
    uint32_t is_remote = f->id & KHS_CAN_REMOTE ? 1 : 0;
    code(&c, 0, 1);
    if (f->id & KHS_CAN_EXTENDED) {
        code(&c, f->id >> 18, 11);
        code(&c, 3, 2);
        code(&c, f->id, 18);
        code(&c, is_remote << 2, 3);
    } else {
        code(&c, f->id, 11);
        code(&c, is_remote << 2, 3);
    }
    code(&c, f->size, 4);
    for (uint32_t i = 0; i < f->size && !is_remote; i++)
        code(&c, f->data[i], 8);
    code(&c, c.crc, 15);
    return c.bits;
}

uint32_t khs_can_key(const khs_can_frame *f)
{
    uint32_t is_remote = f->id & KHS_CAN_REMOTE ? 1 : 0;
    if (f->id & KHS_CAN_EXTENDED)
        return (f->id >> 18 & 0x7ff) << 21 | 3u << 19 | (f->id & 0x3ffff) << 1 | is_remote;
    return (f->id & 0x7ff) << 21 | is_remote << 20;
}

uint64_t khs_can_ticks(const khs_device *d, const khs_can_rate *rate, uint64_t bits)
{
    uint64_t hz = d->host->config->clock_hz;
    return (bits * hz * rate->quanta + rate->hz - 1) / rate->hz;
}

/* Within a 64th, which is what CAN bears. */
static bool is_same(const khs_can_rate *a, const khs_can_rate *b)
{
    uint64_t x = (uint64_t)a->hz * b->quanta, y = (uint64_t)b->hz * a->quanta;
    return (x > y ? x - y : y - x) <= x / 64;
}

/* ------------------------------------------------------------ errors */

enum khs_can_level khs_can_level_of(const khs_can *c)
{
    uint32_t most = c->send_errors > c->receive_errors ? c->send_errors : c->receive_errors;
    return c->is_off ? KHS_CAN_OFF : most > 127 ? KHS_CAN_PASSIVE : most >= 96 ? KHS_CAN_WARNING : KHS_CAN_ACTIVE;
}

static void count_received(khs_device *d, bool fine)
{
    khs_can *c = can_of(d);
    if (!fine)
        c->receive_errors += c->receive_errors < 128 ? 1 : 0;
    else if (c->receive_errors > 0)
        c->receive_errors = c->receive_errors > 127 ? 127 : c->receive_errors - 1;
    calls(d)->counted(d);
}

/* Who is error passive counts no more for want of an acknowledgement: alone nobody goes bus-off. */
static void count_sent(khs_device *d, bool fine)
{
    khs_can *c = can_of(d);
    if (!fine)
        c->send_errors += c->send_errors < 128 ? 8 : 0;
    else if (c->send_errors > 0)
        c->send_errors--;
    calls(d)->counted(d);
}

/* ------------------------------------------------------------ the outside */

/* Takes the next frame from there, if none waits already. */
static void fetch(khs_device *d)
{
    khs_can *c = can_of(d);
    while (c->filled < KHS_CAN_RECORD) {
        int byte = khs_device_take(d);
        if (byte < 0)
            return;
        c->record[c->filled++] = (uint8_t)byte;
        if (c->filled == KHS_CAN_RECORD) {
            bool is_error = c->record[3] & KHS_CAN_ERROR >> 24;
            c->is_there = !(is_error && (c->record[0] & NO_ACK));
            c->filled = is_error ? 0 : c->filled;
        }
    }
}

static void decode(const uint8_t *record, khs_can_frame *f)
{
    uint32_t id = record[0] | record[1] << 8 | record[2] << 16 | (uint32_t)record[3] << 24;
    uint32_t flags = id & (KHS_CAN_EXTENDED | KHS_CAN_REMOTE);
    *f = (khs_can_frame){.id = flags | (id & (flags & KHS_CAN_EXTENDED ? 0x1fffffffu : 0x7ffu))};
    f->size = record[4] < 8 ? record[4] : 8;
    if (!(flags & KHS_CAN_REMOTE))
        memcpy(f->data, record + 8, f->size);
}

static void tell(khs_device *d, const khs_can_frame *f)
{
    uint8_t record[KHS_CAN_RECORD] = {(uint8_t)f->id, (uint8_t)(f->id >> 8), (uint8_t)(f->id >> 16), (uint8_t)(f->id >> 24), f->size};
    memcpy(record + 8, f->data, sizeof f->data);
    for (uint32_t i = 0; i < KHS_CAN_RECORD; i++)
        khs_device_put(d, record[i]);
}

/* ------------------------------------------------------------ frames */

/* Somebody but the sender who is there and at the same rate. */
static bool is_acknowledged(const khs_can_line *l, const khs_can_wire *w)
{
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        bool is_sender = m->number == w->sender;
        if (can_of(m)->is_there && !l->loops && !(is_sender && w->is_outside))
            return true;
        if (is_sender && !w->is_outside && (l->loops || can_of(m)->needs_no_one))
            return true;
        if ((!is_sender || w->is_outside) && takes_part(l, m) && !can_of(m)->listens && is_same(&can_of(m)->rate, &w->rate))
            return true;
    }
    return false;
}

/* The rate at which the outside sends is that of the first who would acknowledge; false: nobody. */
static bool find_rate(const khs_can_line *l, khs_can_rate *rate)
{
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m))
        if (takes_part(l, m) && !can_of(m)->listens) {
            *rate = can_of(m)->rate;
            return true;
        }
    return false;
}

static bool is_before(const khs_can_wire *w, const khs_can_frame *f)
{
    return w->sender == KHS_NONE || khs_can_key(f) < khs_can_key(&w->frame);
}

/* What would be sent first, w->sender KHS_NONE if nothing. */
static void arbitrate(const khs_can_line *l, khs_can_wire *w)
{
    khs_can_frame frame;
    khs_can_rate rate;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m))
        if (takes_part(l, m) && !can_of(m)->listens && calls(m)->ready(m, &frame) && is_before(w, &frame))
            *w = (khs_can_wire){.frame = frame, .rate = can_of(m)->rate, .sender = m->number};
    if (l->loops || !find_rate(l, &rate))
        return;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        if (can_of(m)->filled != KHS_CAN_RECORD)
            continue;
        decode(can_of(m)->record, &frame);
        if (is_before(w, &frame))
            *w = (khs_can_wire){.frame = frame, .rate = rate, .sender = m->number, .is_outside = true};
    }
}

static void tell_losers(const khs_can_line *l)
{
    khs_can_frame frame;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        if (!takes_part(l, m) || can_of(m)->listens || !calls(m)->ready(m, &frame))
            continue;
        uint32_t differ = khs_can_key(&frame) ^ khs_can_key(&l->wire->frame);
        if (m->number == l->wire->sender && !l->wire->is_outside)
            calls(m)->begun(m);
        else if (differ != 0)
            calls(m)->lost(m, (uint32_t)__builtin_clz(differ));
    }
}

static void begin(const khs_can_line *l)
{
    uint64_t now = l->first->state->now;
    khs_can_wire wire = {.sender = KHS_NONE};
    if (l->wire->ends_at != KHS_AT_NO_TIME || l->wire->idle_at != KHS_AT_NO_TIME)
        return;
    arbitrate(l, &wire);
    if (wire.sender != KHS_NONE) {
        wire.begun_at = now;
        wire.ends_at = now + khs_can_ticks(l->first, &wire.rate, khs_can_bits(&wire.frame) + TAIL);
        wire.idle_at = KHS_AT_NO_TIME;
        *l->wire = wire;
        tell_losers(l);
    }
    schedule(l->first);
}

static void deliver(const khs_can_line *l)
{
    khs_can_wire w = *l->wire;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        if (!takes_part(l, m) || (m->number == w.sender && !w.is_outside))
            continue;
        bool fine = is_same(&can_of(m)->rate, &w.rate);
        if (fine)
            calls(m)->heard(m, &w.frame);
        count_received(m, fine);
    }
    khs_device *sender = l->first->host->devices[w.sender];
    if (w.is_outside) {
        can_of(sender)->filled = 0;
        fetch(sender);
        return;
    }
    if (!l->loops)
        tell(sender, &w.frame);
    calls(sender)->sent(sender, &w.frame);
    count_sent(sender, true);
}

static void finish(const khs_can_line *l)
{
    khs_can_wire *w = l->wire;
    bool fine = !w->broken && is_acknowledged(l, w);
    khs_device *sender = l->first->host->devices[w->sender];
    uint32_t rest = INTERMISSION + (fine ? 0 : ERROR_FRAME);
    w->ends_at = KHS_AT_NO_TIME;
    w->idle_at = l->first->state->now + khs_can_ticks(l->first, &w->rate, rest);
    if (fine) {
        deliver(l);
    } else if (!w->broken && !w->is_outside) {
        calls(sender)->failed(sender);
        count_sent(sender, false);
    }
}

void khs_can_go_on(khs_device *d)
{
    khs_can_line l = line_of(d);
    begin(&l);
    schedule(d);
}

static void advance(const khs_can_line *l)
{
    uint64_t now = l->first->state->now;
    if (l->wire->ends_at <= now)
        finish(l);
    if (l->wire->idle_at <= now) {
        l->wire->idle_at = KHS_AT_NO_TIME;
        begin(l);
    }
}

void khs_can_advance(khs_device *d)
{
    khs_can *c = can_of(d);
    khs_can_line bus = {d, &c->bus, false}, loop = loop_of(d); /* the bus, if it is its first */
    advance(&bus);
    advance(&loop);
    if (c->recovers_at <= d->state->now) {
        c->recovers_at = KHS_AT_NO_TIME;
        c->is_off = false;
        c->send_errors = c->receive_errors = 0;
        calls(d)->counted(d);
        khs_can_go_on(d);
    }
    schedule(d);
}

void khs_can_input(khs_device *d)
{
    khs_can_line bus = bus_of(d);
    fetch(d);
    begin(&bus);
}

/* ------------------------------------------------------------ the models' side */

void khs_can_clear(khs_device *d)
{
    khs_can_wire nothing = {.ends_at = KHS_AT_NO_TIME, .idle_at = KHS_AT_NO_TIME};
    *can_of(d) = (khs_can){.bus = nothing, .loop = nothing, .recovers_at = KHS_AT_NO_TIME};
    khs_can_set_rate(d, 1, 1);
    schedule(d);
}

void khs_can_set_rate(khs_device *d, uint32_t hz, uint32_t quanta)
{
    can_of(d)->rate = (khs_can_rate){hz, quanta};
}

void khs_can_set(khs_device *d, bool on, bool listens, bool loops)
{
    khs_can *c = can_of(d);
    khs_can_wire *w = line_of(d).wire;
    bool is_sending = w->ends_at != KHS_AT_NO_TIME && w->sender == d->number && !w->is_outside;
    if (is_sending && c->on && (!on || listens || loops != c->loops))
        w->broken = true;
    c->on = on;
    c->listens = listens;
    c->loops = loops;
    khs_can_go_on(d);
}

void khs_can_go_off(khs_device *d)
{
    can_of(d)->is_off = true;
    khs_device_fault(d, KHS_HOST_BUS_OFF);
    calls(d)->counted(d);
}

void khs_can_overrun(khs_device *d)
{
    d->state->overruns++;
    khs_device_fault(d, KHS_HOST_OVERRUN);
}

void khs_can_recover(khs_device *d)
{
    khs_can *c = can_of(d);
    if (c->is_off && c->recovers_at == KHS_AT_NO_TIME)
        c->recovers_at = d->state->now + khs_can_ticks(d, &c->rate, RECOVERY);
    schedule(d);
}
