/* Programs of rules that look at the message or at state. */
#ifndef KSS_PROGRAM_H
#define KSS_PROGRAM_H

#include "message.h"
#include "state.h"

/* Runs a verified program. Ends: it only jumps forward. */
kss_verdict kss_run(const struct transaction *tx, const struct entry *entry, const kss_event *event,
                    const struct message *message);

/* Verifies a program; `bad` is the instruction at fault. */
bool kss_verify_program(const struct image *image, const struct entry *entry, uint32_t *bad);

#endif
