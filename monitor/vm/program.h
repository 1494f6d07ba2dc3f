/* Programs of rules that look at the message or at state. */
#ifndef KSS_PROGRAM_H
#define KSS_PROGRAM_H

#include "message.h"
#include "state.h"

struct outcome {
    bool granted; /* meaningful only if rules were called */
    bool failed;
    uint32_t calls;
    uint32_t rule; /* the first denial or failure, else the last rule called */
};

/* Runs a verified program. Ends: it only jumps forward. */
struct outcome kss_run(const struct transaction *tx, const struct entry *entry, const kss_event *event,
                   const struct message *message);

/* Verifies a program; `bad` is the instruction at fault. */
bool kss_verify_program(const struct image *image, const struct entry *entry, uint32_t *bad);

#endif
