/* What CAN controllers have in common: can.c. Models set what the registers say, and are called when
 * something happens to their frames. */
#ifndef KHS_HOST_CAN_H
#define KHS_HOST_CAN_H

#include "../device.h"

enum khs_can_level { KHS_CAN_ACTIVE, KHS_CAN_WARNING, KHS_CAN_PASSIVE, KHS_CAN_OFF };

enum khs_can_error_kind { KHS_CAN_BIT0, KHS_CAN_BIT1, KHS_CAN_FORM, KHS_CAN_STUFF, KHS_CAN_NO_ACK };

typedef struct khs_can_calls {
    bool (*ready)(khs_device *device, khs_can_frame *frame); /* what it would send first */
    void (*begun)(khs_device *device);                       /* that is on the bus now */
    void (*lost)(khs_device *device, uint32_t bit);          /* or lost arbitration at this bit */
    void (*sent)(khs_device *device, const khs_can_frame *frame);
    /* A frame was destroyed, or nobody has acknowledged it; who sent it goes on being ready, or not. */
    void (*failed)(khs_device *device, const khs_can_error *error, bool is_sender);
    void (*heard)(khs_device *device, const khs_can_frame *frame);
    void (*counted)(khs_device *device); /* errors, or fewer */
    void (*off)(khs_device *device);     /* it is bus-off */
} khs_can_calls;

extern const khs_can_calls khs_can_flexcan, khs_can_sja1000;

static inline const khs_can_calls *khs_can_calls_of(const khs_device *device)
{
    return device->model == &khs_model_flexcan ? &khs_can_flexcan : &khs_can_sja1000;
}

/* Off the bus, no errors, nothing under way. What waits outside goes on waiting. */
void khs_can_clear(khs_device *device);
void khs_can_set_rate(khs_device *device, uint32_t hz, uint32_t quanta);
/* Goes onto its bus or off it, which breaks the frame that it sends; `listens`: without
 * acknowledging or sending, `loops`: a bus of its own. */
void khs_can_set(khs_device *device, bool on, bool listens, bool loops);
/* To be called when it is ready. */
void khs_can_go_on(khs_device *device);
void khs_can_overrun(khs_device *device); /* a frame is lost, as nobody has fetched those before it */

/* ------------------------------------------------------------ can_bits.c */

/* Bits from the start of a frame to the end of its CRC, those stuffed in between with them. */
uint32_t khs_can_bits(const khs_can_frame *frame);
/* The bits that arbitration is about, the first one highest: the lower goes first. */
uint32_t khs_can_key(const khs_can_frame *frame);
/* Bits in ticks. */
uint64_t khs_can_ticks(const khs_device *device, const khs_can_rate *rate, uint64_t bits);

/* ------------------------------------------------------------ can_errors.c */

enum khs_can_level khs_can_level_of(const khs_can *can);
/* A frame that came was fine, or was not; one that was sent. */
void khs_can_count_received(khs_device *device, bool fine);
void khs_can_count_sent(khs_device *device, const khs_can_error *error); /* NULL: it was fine */
void khs_can_go_off(khs_device *device);  /* bus-off */
void khs_can_recover(khs_device *device); /* from there, after 128 times 11 recessive bits from now on */
/* Having seen them it waits until this is taken back, and then for 11 more. */
void khs_can_stay_off(khs_device *device, bool stays);
/* No errors, and not bus-off. */
void khs_can_forget_errors(khs_device *device);
/* Bus-off: how many times it has seen 11 recessive bits. */
uint32_t khs_can_sequences(const khs_device *device);
/* A frame begins, or the controller looks no more; the bus is idle, after `seen` more of these. */
void khs_can_busy(khs_device *device);
void khs_can_idle(khs_device *device, uint32_t seen);
void khs_can_recovered(khs_device *device); /* at recovers_at */

/* ------------------------------------------------------------ can.c */

/* The bus that it is on, or its loop. */
const khs_can_wire *khs_can_wire_of(const khs_device *device);
/* Whether nothing is on its bus. */
bool khs_can_is_idle(const khs_device *device);
/* What is next for it. */
void khs_can_schedule(khs_device *device);

/* For device.c's khs_model. */
void khs_can_advance(khs_device *device);
void khs_can_input(khs_device *device);

#endif
