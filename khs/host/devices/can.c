/* Buses of CAN 2.0 in virtual time. A frame takes the bits it has, those stuffed in between counted
 * exactly; of those who are ready when the bus is idle the lowest identifier goes first, of equals the
 * first controller. A frame that nobody acknowledges costs its sender 8 errors, and comes again.
 *
 * The outside is one more node behind each controller. It sends records (struct can_frame): a frame
 * waits there until the bus is idle, it is its turn, and somebody would acknowledge it. From its first
 * record on it acknowledges what others send, until one with KHS_CAN_ERROR and NO_ACK. One with
 * KHS_CAN_ERROR and PROTOCOL destroys the frame that is on the bus, or the next one.
 *
 * Not as on wires: bits are not synchronized, so that a frame begins at any tick; nobody destroys
 * others' frames: who is at another bit rate counts an error, and neither takes the frame nor
 * acknowledges it; equal identifiers with other data do not collide. */
#include <string.h>

#include "can.h"

#define TAIL 10u         /* CRC delimiter, acknowledgement with its delimiter, end of frame */
#define INTERMISSION 3u
#define ERROR_FRAME 6u   /* what one is longer than the end of a good one */
#define ERROR_FLAG 6u
#define ERROR_END 8u     /* its delimiter */
#define NO_ACK 0x20u     /* CAN_ERR_ACK */
#define PROTOCOL 0x08u   /* CAN_ERR_PROT, of a kind: data[2], at a place: data[3] */
#define PLACE_ACK 0x19u
#define PLACE_DATA 0x0au

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

static bool takes_part(const khs_can_line *l, const khs_device *m)
{
    const khs_can *c = can_of(m);
    return c->on && !c->is_off && c->loops == l->loops;
}

void khs_can_schedule(khs_device *d)
{
    const khs_can *c = can_of(d);
    d->state->next = KHS_AT_NO_TIME;
    khs_device_at(d, c->bus.ends_at);
    khs_device_at(d, c->bus.idle_at);
    khs_device_at(d, c->loop.ends_at);
    khs_device_at(d, c->loop.idle_at);
    khs_device_at(d, c->recovers_at);
}

/* Within a 64th, which is what CAN bears. */
static bool is_same(const khs_can_rate *a, const khs_can_rate *b)
{
    uint64_t x = (uint64_t)a->hz * b->quanta, y = (uint64_t)b->hz * a->quanta;
    return (x > y ? x - y : y - x) <= x / 64;
}

/* ------------------------------------------------------------ the outside */

static khs_can_error error_of(const uint8_t *record)
{
    uint8_t kind = record[10], place = record[11] & 0x1f; /* CAN_ERR_PROT_FORM, _STUFF, _BIT0 */
    return (khs_can_error){
        .kind = kind & 0x02 ? KHS_CAN_FORM : kind & 0x04 ? KHS_CAN_STUFF : kind & 0x08 ? KHS_CAN_BIT0 : KHS_CAN_BIT1,
        .place = place != 0 ? place : PLACE_DATA};
}

/* An error in the last of these bits, if the frame is not over by then. */
static void strike(const khs_can_line *l, khs_can_error error, uint64_t from, uint32_t bits)
{
    l->wire->is_struck = true;
    l->wire->error = error;
    l->wire->ends_at = khs_least(l->wire->ends_at, from + khs_can_ticks(l->first, &l->wire->rate, bits));
    khs_can_schedule(l->first);
}

static void take_error(khs_device *d)
{
    khs_can_line bus = bus_of(d);
    khs_can_error error = error_of(can_of(d)->record);
    if (bus.wire->ends_at != KHS_AT_NO_TIME && !bus.wire->is_struck) {
        strike(&bus, error, d->state->now, 1);
    } else {
        can_of(bus.first)->strike = error;
        can_of(bus.first)->strikes++;
    }
}

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
            c->filled = is_error ? 0 : c->filled;
            if (is_error && (c->record[0] & PROTOCOL))
                take_error(d);
            else
                c->is_there = !(is_error && (c->record[0] & NO_ACK));
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
        if (takes_part(l, m) && !can_of(m)->listens && khs_can_calls_of(m)->ready(m, &frame) && is_before(w, &frame))
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
        if (!takes_part(l, m) || can_of(m)->listens || !khs_can_calls_of(m)->ready(m, &frame))
            continue;
        uint32_t differ = khs_can_key(&frame) ^ khs_can_key(&l->wire->frame);
        if (m->number == l->wire->sender && !l->wire->is_outside)
            khs_can_calls_of(m)->begun(m);
        else if (differ != 0)
            khs_can_calls_of(m)->lost(m, (uint32_t)__builtin_clz(differ));
    }
}

/* Behind its control field, if it is to be destroyed. */
static void strike_next(const khs_can_line *l)
{
    khs_can *bus = can_of(l->first);
    if (l->loops || bus->strikes == 0)
        return;
    bus->strikes--;
    strike(l, bus->strike, l->wire->begun_at, l->wire->frame.id & KHS_CAN_EXTENDED ? 40 : 20);
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
        for (khs_device *m = l->first; m != NULL && !l->loops; m = next_of(l, m))
            khs_can_busy(m);
        strike_next(l);
    }
    khs_can_schedule(l->first);
}

static void deliver(const khs_can_line *l)
{
    khs_can_wire w = *l->wire;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        if (!takes_part(l, m) || (m->number == w.sender && !w.is_outside))
            continue;
        bool fine = is_same(&can_of(m)->rate, &w.rate);
        if (fine)
            khs_can_calls_of(m)->heard(m, &w.frame);
        khs_can_count_received(m, fine);
    }
    khs_device *sender = l->first->host->devices[w.sender];
    if (w.is_outside) {
        can_of(sender)->filled = 0;
        fetch(sender);
        return;
    }
    if (!l->loops)
        tell(sender, &w.frame);
    khs_can_calls_of(sender)->sent(sender, &w.frame);
    khs_can_count_sent(sender, NULL);
}

/* Who sends has seen another bit than its own, the others one too many of a kind. */
static void tell_receivers(const khs_can_line *l, khs_can_error error)
{
    const khs_can_wire *w = l->wire;
    error.kind = error.kind == KHS_CAN_BIT0 || error.kind == KHS_CAN_BIT1 ? KHS_CAN_STUFF : error.kind;
    for (khs_device *m = l->first; m != NULL; m = next_of(l, m)) {
        if (!takes_part(l, m) || (m->number == w->sender && !w->is_outside))
            continue;
        khs_can_calls_of(m)->failed(m, &error, false);
        khs_can_count_received(m, false);
    }
}

static void finish(const khs_can_line *l)
{
    khs_can_wire *w = l->wire;
    bool fine = !w->broken && !w->is_struck && is_acknowledged(l, w);
    khs_can_error error = w->is_struck ? w->error : (khs_can_error){KHS_CAN_NO_ACK, PLACE_ACK};
    khs_device *sender = l->first->host->devices[w->sender];
    uint32_t rest = INTERMISSION + (w->is_struck ? ERROR_FLAG + ERROR_END : fine ? 0 : ERROR_FRAME);
    w->ends_at = KHS_AT_NO_TIME;
    w->idle_at = l->first->state->now + khs_can_ticks(l->first, &w->rate, rest);
    if (fine)
        deliver(l);
    if (w->is_struck)
        tell_receivers(l, error);
    if (!fine && !w->broken && !w->is_outside) {
        khs_can_calls_of(sender)->failed(sender, &error, true);
        khs_can_count_sent(sender, &error);
    }
}

void khs_can_go_on(khs_device *d)
{
    khs_can_line l = line_of(d);
    begin(&l);
    khs_can_schedule(d);
}

static void advance(const khs_can_line *l)
{
    uint64_t now = l->first->state->now;
    if (l->wire->ends_at <= now)
        finish(l);
    if (l->wire->idle_at <= now) {
        l->wire->idle_at = KHS_AT_NO_TIME;
        for (khs_device *m = l->first; m != NULL && !l->loops; m = next_of(l, m))
            khs_can_idle(m, 1); /* delimiter, end of frame and intermission, of an error's frame as of a good one */
        begin(l);
    }
}

void khs_can_advance(khs_device *d)
{
    khs_can *c = can_of(d);
    khs_can_line bus = {d, &c->bus, false}, loop = loop_of(d); /* the bus, if it is its first */
    advance(&bus);
    advance(&loop);
    if (c->recovers_at <= d->state->now)
        khs_can_recovered(d);
    khs_can_schedule(d);
}

void khs_can_input(khs_device *d)
{
    khs_can_line bus = bus_of(d);
    fetch(d);
    begin(&bus);
}

/* ------------------------------------------------------------ the models' side */

bool khs_can_is_idle(const khs_device *d)
{
    const khs_can_wire *w = &can_of(d->first)->bus;
    return w->ends_at == KHS_AT_NO_TIME && w->idle_at == KHS_AT_NO_TIME;
}

void khs_can_clear(khs_device *d)
{
    khs_can_wire nothing = {.ends_at = KHS_AT_NO_TIME, .idle_at = KHS_AT_NO_TIME};
    *can_of(d) = (khs_can){.bus = nothing, .loop = nothing, .recovers_at = KHS_AT_NO_TIME, .recessive_since = KHS_AT_NO_TIME};
    khs_can_set_rate(d, 1, 1);
    khs_can_schedule(d);
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
    if (!on)
        khs_can_busy(d);
    else if (khs_can_is_idle(d))
        khs_can_idle(d, 0);
    khs_can_go_on(d);
}

void khs_can_overrun(khs_device *d)
{
    d->state->overruns++;
    khs_device_fault(d, KHS_HOST_OVERRUN);
}
