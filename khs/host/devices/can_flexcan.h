/* FlexCAN: its registers' fields, mailboxes (can_flexcan.c) and FIFO (can_flexcan_fifo.c). */
#ifndef KHS_HOST_CAN_FLEXCAN_H
#define KHS_HOST_CAN_FLEXCAN_H

#include "can.h"

#define NONE KHS_FLEXCAN_BOXES

#define MCR_RESET 0x5980000fu
#define MCR_DISABLE (1u << 31)
#define MCR_FREEZE (1u << 30)
#define MCR_HALT (1u << 28)
#define MCR_NOT_READY (1u << 27)
#define MCR_SOFT_RESET (1u << 25)
#define MCR_FROZEN (1u << 24)
#define MCR_WARN (1u << 21)
#define MCR_DISABLED (1u << 20)
#define MCR_NO_SELF (1u << 17)
#define MCR_PRIORITY (1u << 13)
#define MCR_ABORT (1u << 12)
#define MCR_ANY (MCR_DISABLE | MCR_FREEZE | MCR_HALT) /* whenever it is; others while it is frozen */
#define MCR_KEPT 0x60e7337fu /* RFEN, WAK_MSK, SUPV, SLF_WAK, WRN_EN, WAK_SRC, SRX_DIS, IRMQ, LPRIO_EN, AEN, IDAM, MAXMB */
#define CTRL1_OFF (1u << 15)
#define CTRL1_ERRORS (1u << 14)
#define CTRL1_LOOP (1u << 12)
#define CTRL1_SEND_WARNINGS (1u << 11)
#define CTRL1_RECEIVE_WARNINGS (1u << 10)
#define CTRL1_STAYS_OFF (1u << 6)    /* BOFF_REC */
#define CTRL1_RESETS_TIMER (1u << 5) /* TSYN */
#define CTRL1_LOWEST_BOX (1u << 4)   /* LBUF */
#define CTRL1_LISTEN (1u << 3)
#define CTRL1_ANY 0xcc40u /* masks of interrupts, BOFF_REC; the rest while it is frozen */
#define MCR_FIFO (1u << 29)       /* RFEN */
#define MCR_INDIVIDUAL (1u << 16) /* IRMQ */
#define CTRL2_RESET 0x00b00000u
#define CTRL2_BOXES_FIRST (1u << 18)  /* MRP */
#define CTRL2_STORES_REMOTE (1u << 17) /* RRS */
#define CTRL2_COMPARES_ALL (1u << 16) /* EACEN */
#define ESR1_SYNCHRONOUS (1u << 18)
#define ESR1_SEND_WARNING (1u << 17)
#define ESR1_RECEIVE_WARNING (1u << 16)
#define ESR1_BIT1 (1u << 15)
#define ESR1_BIT0 (1u << 14)
#define ESR1_NO_ACK (1u << 13)
#define ESR1_FORM (1u << 11)
#define ESR1_STUFF (1u << 10)
#define ESR1_READ_CLEARS 0xfc00u
#define ESR1_SENDS_BADLY (1u << 9)
#define ESR1_RECEIVES_BADLY (1u << 8)
#define ESR1_IDLE (1u << 7)
#define ESR1_SENDING (1u << 6)
#define ESR1_OFF (1u << 5)
#define ESR1_PASSIVE (1u << 4)
#define ESR1_RECEIVING (1u << 3)
#define ESR1_WENT_OFF (1u << 2)
#define ESR1_ERROR (1u << 1)
#define ESR1_INTERRUPTS 0x30007u

enum { RX_INACTIVE = 0, RX_FULL = 2, RX_EMPTY = 4, RX_OVERRUN = 6, TX_INACTIVE = 8, TX_ABORT = 9, RX_ANSWER = 10, TX_DATA = 12, TX_ANSWER = 14 };
#define CODE(word) ((word) >> 24 & 15)
#define BOX_SUBSTITUTE (1u << 22) /* SRR */
#define BOX_EXTENDED (1u << 21)   /* IDE */
#define BOX_REMOTE (1u << 20)     /* RTR */

static inline khs_flexcan *flexcan(khs_device *d) { return &d->state->can.flexcan; }
static inline uint64_t bit(uint32_t box) { return 1ull << box; }
static inline bool is_disabled(const khs_flexcan *f) { return f->module & MCR_DISABLE; }
static inline bool is_frozen(const khs_flexcan *f) { return (f->module & (MCR_FREEZE | MCR_HALT)) == (MCR_FREEZE | MCR_HALT); }
static inline uint32_t khs_flexcan_last(const khs_flexcan *f) { return f->module & (KHS_FLEXCAN_BOXES - 1); }
static inline bool is_to_send(const khs_flexcan *f, uint32_t box)
{
    return CODE(f->boxes[box][0]) == TX_DATA || CODE(f->boxes[box][0]) == TX_ANSWER;
}

/* can_flexcan.c */
void khs_flexcan_set_line(khs_device *d);
/* Bits of the bus since the timer was 0. */
uint32_t khs_flexcan_timer(khs_device *d, uint64_t tick);
/* Nobody reads a mailbox any more; what waited for that goes in. */
void khs_flexcan_unlock(khs_device *d);
/* Makes the words of a mailbox what a frame is, but for its code. */
void khs_flexcan_fill(uint32_t *box, const khs_can_frame *frame, uint32_t stamp);

/* can_flexcan_fifo.c */
/* The first mailbox that the FIFO and its filters leave. */
uint32_t khs_flexcan_first(const khs_flexcan *f);
/* The filter that lets the frame into the FIFO, -1 if there is none. */
int khs_flexcan_filter(const khs_flexcan *f, const khs_can_frame *frame);
bool khs_flexcan_fifo_is_full(const khs_flexcan *f);
void khs_flexcan_fifo_put(khs_device *d, const khs_can_frame *frame, uint32_t stamp, uint32_t hit);
void khs_flexcan_fifo_overflow(khs_device *d);
/* The driver has taken the first frame. */
void khs_flexcan_fifo_next(khs_device *d);

#endif
