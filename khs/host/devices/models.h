/* State of the smaller models, and what they have in common: the part of a register that an access
 * meets, and clocks that are not the system's. */
#ifndef KHS_HOST_MODELS_H
#define KHS_HOST_MODELS_H

#include <stdbool.h>
#include <stdint.h>

/* ------------------------------------------------------------ state */

typedef struct khs_epit {
    uint32_t control, status, load, compare;
    uint32_t from;  /* what the counter was */
    uint64_t began; /* at this cycle of its clock */
} khs_epit;

typedef struct khs_pit_channel {
    uint64_t began;  /* cycle at which the counter had `count` */
    uint32_t count;  /* 1 to 65,536 */
    uint32_t coming; /* one that was written and is not loaded yet, 0 if there is none */
    uint64_t comes_at, comes_began;
    uint32_t held; /* what the counter shows while it does not count */
    uint32_t latched;
    uint8_t mode, access, status, low;
    bool is_bcd, counts, has_low, reads_high, has_latched, has_status;
} khs_pit_channel;

typedef struct khs_pit {
    khs_pit_channel channels[3];
} khs_pit;

typedef struct khs_gpio {
    uint32_t data, direction, conditions[2], mask, status, both_edges;
    uint32_t pads;   /* levels that come from outside */
    uint8_t part[8]; /* of a record that has not come in whole */
    uint32_t part_size;
} khs_gpio;

typedef struct khs_watchdog {
    uint16_t registers[5];
    uint64_t warns_at, expires_at; /* ticks, KHS_AT_NO_TIME: never */
} khs_watchdog;

/* ------------------------------------------------------------ registers and clocks */

/* What an access of `size` bytes at `offset` reads of a register of 32 bits. */
static inline uint32_t khs_part_of(uint32_t value, uint32_t offset, uint32_t size)
{
    value >>= 8 * (offset & 3);
    return size >= 4 ? value : value & ((1u << 8 * size) - 1);
}

/* Cycles of a clock of `hz` that are complete at a tick of a system with `system_hz`. */
static inline uint64_t khs_cycles(uint64_t tick, uint32_t hz, uint64_t system_hz)
{
    return (uint64_t)((unsigned __int128)tick * hz / system_hz);
}

/* The first tick at which so many are. */
static inline uint64_t khs_cycle_tick(uint64_t cycles, uint32_t hz, uint64_t system_hz)
{
    unsigned __int128 tick = ((unsigned __int128)cycles * system_hz + hz - 1) / hz;
    return tick > UINT64_MAX ? UINT64_MAX : (uint64_t)tick;
}

#endif
