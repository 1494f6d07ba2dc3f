/* [region.protection]: the safety channel's own relay and sensors. Fixed by bench.toml. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdint.h>

struct channel {
    uint32_t permit;   /* out: the relay holds while this goes on being counted; 0 drops it */
    int32_t pickup;    /* in: thousandths of a hertz */
    int32_t vibration; /* in: thousandths of mm/s */
};

#endif
