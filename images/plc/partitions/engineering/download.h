/* [region.download]: the last message from the engineering station, as it came. */
#ifndef DOWNLOAD_H
#define DOWNLOAD_H

#include <stdint.h>

enum { DOWNLOAD_BYTES = 2048 };

struct download {
    uint32_t sequence;
    uint32_t length;
    uint8_t bytes[DOWNLOAD_BYTES];
};

#endif
