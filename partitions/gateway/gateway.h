/* What parser and steps share: a message becomes a transaction of steps that is carried out
 * only if the whole message is sound. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

enum { TEXT_BYTES = 64, STEPS = 8 };

/* Carries a step out; returns the code of its hypercall. */
typedef uint32_t step_function(uintptr_t a, uintptr_t b, uintptr_t c);

/* Fixed-width fields: the same layout on every board, so that a dump of one reads alike. */
struct step {
    uint64_t run; /* step_function */
    uint64_t argument[3];
};

struct transaction {
    char text[TEXT_BYTES]; /* of the NOTE, ends with zero */
    uint32_t steps;
    uint32_t pad;
    struct step step[STEPS];
};

/* Reads one message: false if it is not sound, and then nothing of it counts. */
bool parse(const uint8_t *message, uint32_t length, struct transaction *transaction);

step_function set_temperature; /* tenths of a degree */
step_function report_status;
step_function report_hours;
step_function restart_logger;
step_function write_note; /* address and length of the text */

#endif
