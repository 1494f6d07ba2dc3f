/* What leaves the board on the event UART, and its exit codes. */
#ifndef FIRMWARE_CHANNEL_H
#define FIRMWARE_CHANNEL_H

#include <stdint.h>

enum channel_packet {
    CHANNEL_EVENTS = 1, /* event records (khs/core/event.h) */
    CHANNEL_STATUS = 2, /* now and then: channel_status, then a khs_partition_view per partition */
    CHANNEL_END = 3,    /* the same, at the end */
};

typedef struct channel_status {
    uint32_t boot_status; /* khs_status */
    uint32_t stopped;
    uint64_t tick;
    uint64_t frames; /* completed */
    uint32_t schedule;
    uint32_t partitions;
} channel_status;

_Static_assert(sizeof(channel_status) == 32, "layout");

/* How the firmware leaves. x86 boards cannot exit with less than 16. */
enum channel_exit {
    EXIT_DONE = 32,    /* the frames asked for have passed, or the module stopped */
    EXIT_REFUSED = 33, /* the console says why */
};

#endif
