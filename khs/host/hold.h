/* What the host needs of the core beyond core.h. A debugger takes the system from one point to another and
 * looks at it there, which changes nothing; devices raise interrupts, as with the boards' firmware. */
#ifndef KHS_HOST_HOLD_H
#define KHS_HOST_HOLD_H

#include "../core/core.h"

/* While on, khs_next pauses behind each tick at which it appended records, and a guest's budget
 * ends at whatever becomes due, for others too. */
void khs_watch(khs_core *core, bool on);

/* After khs_returned: deals with all that became due before, so that what the guest came back for
 * is next. KHS_DRAIN, or KHS_PAUSE when that is so. */
khs_action khs_hold(khs_core *core);

/* After KHS_PAUSE: if a guest is about to run and an interrupt waits for it, it is delivered now. */
void khs_deliver(khs_core *core);

/* Makes a virtual interrupt pending, now. Nothing for a partition that is idle, and false. */
bool khs_raise(khs_core *core, uint32_t partition, uint32_t irq);
/* A restart or a stop from outside, under the policy, as the health monitor does it. False for NORMAL, and for a
 * warm start where there was no cold one to its end. Its events need room in the ring. */
bool khs_set_mode(khs_core *core, uint32_t partition, uint32_t mode);
/* Tells the health monitor that device `number` of a partition failed, with a text; false if events
 * have to be drained first, as khs_next will say. */
bool khs_tell_fault(khs_core *core, uint32_t partition, uint32_t number, const char *text, uint32_t size);
/* Messages in the queue of a channel's reader, who are numbered from 0; 0 if it has none. */
uint32_t khs_queued(const khs_core *core, uint32_t channel, uint32_t reader);

uint32_t khs_window(const khs_core *core);     /* the partition whose window it is, KHS_NONE in a gap */
uint64_t khs_window_end(const khs_core *core); /* end of the current window or gap */

#endif
