/* KHS partition SDK: everything a partition program needs, in one include.
 *
 * A program is `void main(void)`; returning from it makes the partition IDLE. It runs
 * unprivileged in its own memory and reaches the world through hypercalls alone
 * (hypercall.h). What `system.toml` gives it by name it finds by name:
 *
 *     uint32_t port = khs_port("temperature");      [channel.temperature]
 *     uint32_t uplink = khs_input("uplink");         [input.uplink]
 *     void *frames = khs_region("frames", &size);    [region.frames]
 *     const char *mode = khs_env("MODE");            env = { MODE = "demo" }
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KHS_KHS_H
#define KHS_KHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"
#include "start.h"

#include "format.h"
#include "string.h"

/* What a lookup answers for a name that the partition was not given. */
#define KHS_NOTHING UINT32_MAX

/* The program. Defined by the partition, called once a start. */
void main(void);

/* The start information the kernel passed; valid before main. */
extern const struct khs_start_info *khs_start;

/* Own name, as in system.toml. */
const char *khs_name(void);

/* Number of a port, by the name of its channel; KHS_NOTHING if the partition has no end of it. */
uint32_t khs_port(const char *channel);

/* What the configuration says of a port; NULL if the number is none of the partition's. */
const struct khs_start_port *khs_port_info(uint32_t port);

/* Number of an outside input, by name. */
uint32_t khs_input(const char *name);

/* Address of a named shared region, NULL if it is not mapped here. `size`, if not NULL,
 * receives its bytes. Writing takes the right `w` in system.toml. */
void *khs_region(const char *name, size_t *size);

/* A device of the board that the partition owns, by name; NULL if it owns none of this name. Its
 * registers are there on boards only. Its interrupt comes in the partition's own windows; the line
 * is then masked until the handler returns. */
const struct khs_start_device *khs_device(const char *name);

/* The partition's heap: zeroed at a cold start. NULL and 0 if it has none. */
void *khs_heap(size_t *size);

/* Number of a partition (privilege partition-control) or schedule (schedule-switch). */
uint32_t khs_partition(const char *name);
uint32_t khs_schedule(const char *name);

/* Argument number `index` from 0, and the value of an environment variable; NULL if there is none. */
const char *khs_arg(uint32_t index);
const char *khs_env(const char *name);

/* The same as a number: decimal, or hexadecimal after 0x; `otherwise` if unset or no number. */
uint32_t khs_env_number(const char *name, uint32_t otherwise);

/* Virtual time since boot in nanoseconds. */
uint64_t khs_now_ns(void);

/* Ends initialising: NORMAL mode, in which khs_period_wait works. */
static inline uint32_t khs_ready(void)
{
    return khs_partition_mode_set(KHS_MODE_NORMAL).code;
}

/* Handles virtual interrupts with an ordinary C function: it runs with further interrupts
 * held back, and returns to where the partition was. `flags`: KHS_INTERRUPTS_WAITS. */
typedef void khs_interrupt_handler(uint32_t irq);
uint32_t khs_interrupts(khs_interrupt_handler *handler, uint32_t flags);

/* Makes the hypercall a block describes: for numbers and arguments that are known only at
 * run time. Returns the code and leaves code and value in the block. */
struct khs_hypercall {
    _Alignas(8) uint64_t number;
    _Alignas(8) uint64_t argument[6];
    uint32_t code;
    uint32_t value;
};
_Static_assert(sizeof(struct khs_hypercall) == 64, "khs_hypercall is one block of 64 bytes");
uint32_t khs_hypercall(struct khs_hypercall *block);

/* Name of a return code, "DENIED" for KHS_CODE_DENIED. */
const char *khs_code_name(uint32_t code);

#endif
