/* [region.drive]: what the inverter is told and what the encoder tells. Fixed by bench.toml. */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdint.h>

struct drive {
    int32_t torque;  /* out: thousandths of what the inverter can, either way */
    int32_t encoder; /* in: thousandths of a hertz */
};

#endif
