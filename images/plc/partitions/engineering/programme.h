/* What parser and steps share: a message becomes a programme of steps that is carried out only if
 * the whole message is sound. */
#ifndef PROGRAMME_H
#define PROGRAMME_H

#include <stdbool.h>
#include <stdint.h>

enum { TITLE_BYTES = 64, STEPS = 32 };

/* Carries a step out; returns the code of its hypercall. */
typedef uint32_t step_function(uintptr_t a, uintptr_t b, uintptr_t c);

/* Fixed-width fields: the same layout on every board, so that a dump of one reads alike. */
struct step {
    uint64_t run; /* step_function */
    uint64_t argument[3];
};

struct programme {
    char title[TITLE_BYTES]; /* ends with zero */
    uint32_t steps;
    uint32_t pad;
    struct step step[STEPS];
};

/* Reads one message: false if it is not sound, and then nothing of it counts. */
bool parse(const uint8_t *message, uint32_t length, struct programme *programme);

step_function change_speed; /* tenths of a hertz, hertz a second; waits until it is confirmed */
step_function hold;         /* milliseconds */

#endif
