/* What of CAN controllers and their buses changes: a part of khs_device_state. */
#ifndef KHS_HOST_CAN_STATE_H
#define KHS_HOST_CAN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define KHS_CAN_EXTENDED 0x80000000u
#define KHS_CAN_REMOTE 0x40000000u
#define KHS_CAN_ERROR 0x20000000u /* of a record from outside: none of a frame, see can.c */
#define KHS_CAN_RECORD 16u        /* bytes of Linux' struct can_frame, by which the outside is told */

/* `id` with the first two flags, as Linux has it; a remote frame has a size, and no data. */
typedef struct khs_can_frame {
    uint32_t id;
    uint8_t size;
    uint8_t data[8];
} khs_can_frame;

/* What went wrong with a frame, and in which part of it (`place`, as in the SJA1000's error code capture). */
typedef struct khs_can_error {
    uint8_t kind; /* enum khs_can_error_kind */
    uint8_t place;
} khs_can_error;

/* A bit takes `quanta` periods of a clock of `hz`. */
typedef struct khs_can_rate {
    uint32_t hz, quanta;
} khs_can_rate;

/* What is on a bus: a frame until `ends_at`, then nothing may be until `idle_at`. */
typedef struct khs_can_wire {
    khs_can_frame frame;
    khs_can_rate rate;
    uint64_t begun_at, ends_at, idle_at;
    uint32_t sender;  /* number of a device */
    bool is_outside;  /* not its controller sends, but what is behind it */
    bool broken;      /* the sender left in the midst of it */
    bool is_struck;   /* an error destroys it */
    khs_can_error error;
} khs_can_wire;

/* ------------------------------------------------------------ can_flexcan.c */

#define KHS_FLEXCAN_BOXES 64u
#define KHS_FLEXCAN_FIFO 6u

typedef struct khs_flexcan {
    uint32_t module, control, control2, status; /* MCR, CTRL1, CTRL2, ESR1 */
    uint64_t enabled, flagged;                  /* IMASK, IFLAG */
    uint32_t global_mask, mask14, mask15, fifo_mask;
    uint32_t individual[KHS_FLEXCAN_BOXES];
    uint32_t boxes[KHS_FLEXCAN_BOXES][4];
    uint64_t serviced; /* bit per mailbox: read since it was filled, so that it is free again */
    uint64_t timer_at; /* tick at which the timer was 0 */
    uint32_t sending;  /* mailbox whose frame is on the bus, KHS_FLEXCAN_BOXES if none */
    uint32_t locked;   /* mailbox that the driver reads, likewise */
    bool is_parked;    /* a frame waits until it has read that */
    bool aborting;
    uint8_t warned;    /* of errors, as last told */
    khs_can_frame parked, fifo[KHS_FLEXCAN_FIFO];
    uint16_t parked_stamp, fifo_stamps[KHS_FLEXCAN_FIFO], fifo_hits[KHS_FLEXCAN_FIFO];
    uint32_t fifo_head, fifo_fill;
} khs_flexcan;

/* ------------------------------------------------------------ can_sja1000.c */

typedef struct khs_sja1000 {
    uint8_t mode, interrupts, enabled, timing[2], output, divider, warning;
    uint8_t code[4], mask[4];
    uint8_t to_send[13];
    uint8_t ram[64]; /* the FIFO is a ring in it, `start` its first byte */
    uint8_t start, fill, messages;
    uint8_t lost_at, error_at;
    uint8_t level;
    bool requested, itself, once, under_way; /* a transmission; which also receives; no second try */
    bool sent, overrun, is_free;
    bool lost_told, error_told; /* captured, until the driver has read it */
} khs_sja1000;

/* ------------------------------------------------------------ can.c */

typedef struct khs_can {
    khs_can_wire bus;  /* in the first controller of each bus */
    khs_can_wire loop; /* of its own, in loop-back */
    khs_can_rate rate;
    uint64_t recovers_at; /* from bus-off */
    uint64_t recessive_since; /* bus-off: the bus is idle; KHS_AT_NO_TIME: it is not, or nobody counts */
    uint32_t sequences;       /* before that: of 11 recessive bits */
    bool recovers, stays_off; /* it counts them; and waits for its driver then */
    uint32_t strikes;         /* in the first of each bus: frames to come that an error destroys */
    khs_can_error strike;
    uint32_t send_errors, receive_errors;
    bool on, loops, listens; /* on the bus; to itself; without a sign of itself */
    bool needs_no_one;       /* nobody has to acknowledge */
    bool is_off;             /* bus-off */
    bool is_there;           /* somebody outside, who acknowledges */
    uint8_t record[KHS_CAN_RECORD]; /* from outside, the next to be sent */
    uint32_t filled;
    union {
        khs_flexcan flexcan;
        khs_sja1000 sja1000;
    };
} khs_can;

#endif
