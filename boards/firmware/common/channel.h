/* What leaves the board, and its exit codes.
 *
 * Packets {u32 kind, u32 size, bytes} are a stream of bytes on the event UART. A runner that shares
 * the board's memory gives it a log instead: the stream passes through a ring there, and a byte on
 * a line of its own says that there is more in it. Both counters are of bytes since the start, modulo 2^32.
 */
#ifndef FIRMWARE_CHANNEL_H
#define FIRMWARE_CHANNEL_H

#include <stdint.h>

enum channel_packet {
    CHANNEL_EVENTS = 1, /* event records (khs/core/event.h) */
    CHANNEL_STATUS = 2, /* now and then: channel_status, then a khs_partition_view per partition */
    CHANNEL_END = 3,    /* the same, at the end */
};

/* In memory: this, then the ring, whose size is a power of two. */
typedef struct channel_log {
    volatile uint32_t written; /* by the firmware */
    volatile uint32_t taken;   /* by the runner */
    uint32_t spaces; /* address of one u64 a partition: where its page tables begin */
    uint8_t pad[52];
    uint8_t ring[];
} channel_log;

typedef struct channel_status {
    uint32_t boot_status; /* khs_status */
    uint32_t stopped;
    uint64_t tick;
    uint64_t frames; /* completed */
    uint64_t clock; /* what board_clock has counted */
    uint64_t trap_ticks; /* of a trap and the way back alone, 32 bits after the point */
    uint32_t schedule;
    uint32_t partitions;
} channel_status;

_Static_assert(sizeof(channel_log) == 64 && sizeof(channel_status) == 48, "layout");

/* How the firmware leaves. x86 boards cannot exit with less than 16. */
enum channel_exit {
    EXIT_DONE = 32,    /* the frames asked for have passed, or the module stopped */
    EXIT_REFUSED = 33, /* the console says why */
};

#endif
