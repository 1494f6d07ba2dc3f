/* Errors of CAN controllers (ISO 11898-1, fault confinement): 8 for each that a sender suffers, 1 for one
 * that a receiver does, 1 less for each good frame; passive from 128 on, bus-off beyond 255. Back on the bus
 * after 128 times 11 recessive bits: each frame ends with such, and an idle bus is nothing else. */
#include "can.h"

#define SEQUENCE 11u
#define SEQUENCES 128u
#define PASSIVE 128u
#define OFF 256u

enum khs_can_level khs_can_level_of(const khs_can *c)
{
    uint32_t most = c->send_errors > c->receive_errors ? c->send_errors : c->receive_errors;
    return c->is_off ? KHS_CAN_OFF : most >= PASSIVE ? KHS_CAN_PASSIVE : most >= 96 ? KHS_CAN_WARNING : KHS_CAN_ACTIVE;
}

/* Who only listens counts nothing. */
void khs_can_count_received(khs_device *d, bool fine)
{
    khs_can *c = &d->state->can;
    if (c->listens)
        return;
    if (!fine)
        c->receive_errors += c->receive_errors < PASSIVE ? 1 : 0;
    else if (c->receive_errors > 0)
        c->receive_errors = c->receive_errors >= PASSIVE ? PASSIVE - 1 : c->receive_errors - 1;
    khs_can_calls_of(d)->counted(d);
}

/* Who is error passive counts no more for want of an acknowledgement: alone nobody goes bus-off. */
void khs_can_count_sent(khs_device *d, const khs_can_error *error)
{
    khs_can *c = &d->state->can;
    if (error == NULL)
        c->send_errors -= c->send_errors > 0 ? 1 : 0;
    else if (error->kind != KHS_CAN_NO_ACK || c->send_errors < PASSIVE)
        c->send_errors += 8;
    if (c->send_errors >= OFF)
        khs_can_go_off(d);
    else
        khs_can_calls_of(d)->counted(d);
}

/* ------------------------------------------------------------ bus-off */

void khs_can_go_off(khs_device *d)
{
    khs_can *c = &d->state->can;
    c->is_off = true;
    c->recovers = false;
    c->sequences = 0;
    c->recovers_at = c->recessive_since = KHS_AT_NO_TIME;
    khs_device_fault(d, KHS_HOST_BUS_OFF);
    khs_can_calls_of(d)->off(d);
    khs_can_calls_of(d)->counted(d);
}

void khs_can_forget_errors(khs_device *d)
{
    khs_can *c = &d->state->can;
    c->is_off = c->recovers = false;
    c->recovers_at = c->recessive_since = KHS_AT_NO_TIME;
    c->send_errors = c->receive_errors = 0;
    khs_can_calls_of(d)->counted(d);
    khs_can_schedule(d);
}

uint32_t khs_can_sequences(const khs_device *d)
{
    const khs_can *c = &d->state->can;
    if (c->recessive_since == KHS_AT_NO_TIME)
        return c->sequences;
    unsigned __int128 clocks = (unsigned __int128)(d->state->now - c->recessive_since) * c->rate.hz;
    uint64_t idle = (uint64_t)(clocks / ((unsigned __int128)d->host->config->clock_hz * c->rate.quanta * SEQUENCE));
    return idle < SEQUENCES - c->sequences ? c->sequences + (uint32_t)idle : SEQUENCES;
}

void khs_can_busy(khs_device *d)
{
    khs_can *c = &d->state->can;
    if (!c->is_off)
        return;
    c->sequences = khs_can_sequences(d);
    c->recessive_since = KHS_AT_NO_TIME;
    if (c->sequences < SEQUENCES)
        c->recovers_at = KHS_AT_NO_TIME;
    khs_can_schedule(d);
}

void khs_can_idle(khs_device *d, uint32_t seen)
{
    khs_can *c = &d->state->can;
    if (!c->is_off || !c->recovers || !c->on || c->sequences >= SEQUENCES || c->recessive_since != KHS_AT_NO_TIME)
        return;
    c->sequences += seen;
    c->recessive_since = d->state->now;
    c->recovers_at = d->state->now + khs_can_ticks(d, &c->rate, (uint64_t)SEQUENCE * (SEQUENCES - c->sequences));
    khs_can_schedule(d);
}

static void count_from(khs_device *d, uint32_t sequences)
{
    d->state->can.sequences = sequences;
    if (khs_can_is_idle(d))
        khs_can_idle(d, 0);
}

void khs_can_recover(khs_device *d)
{
    khs_can *c = &d->state->can;
    c->recovers = c->is_off;
    c->recovers_at = c->recessive_since = KHS_AT_NO_TIME;
    count_from(d, 0);
}

void khs_can_recovered(khs_device *d)
{
    khs_can *c = &d->state->can;
    c->recovers_at = c->recessive_since = KHS_AT_NO_TIME;
    c->sequences = SEQUENCES;
    if (c->stays_off)
        return;
    khs_can_forget_errors(d);
    khs_can_go_on(d);
}

void khs_can_stay_off(khs_device *d, bool stays)
{
    khs_can *c = &d->state->can;
    bool waited = c->stays_off && !stays && c->is_off && c->sequences >= SEQUENCES;
    c->stays_off = stays;
    if (waited)
        count_from(d, SEQUENCES - 1);
}
