/* The last message from outside, as it came: the gateway writes it, the logger reads it. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdint.h>

enum { CAPTURE_BYTES = 1024 };

struct capture {
    uint32_t sequence;
    uint32_t length;
    uint8_t bytes[CAPTURE_BYTES];
};

#endif
