/* The common firmware's own types. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include "board.h"
#include "channel.h"
#include "image.h"

/* One partition's processor. */
typedef struct cpu {
    cpu_context context;
    cpu_vector vector;
    cpu_context interrupted; /* kept for khs_port_interrupt_return */
    cpu_vector interrupted_vector;
    space *space;
    uint32_t ahead; /* ticks it ran beyond what it was charged */
} cpu;

typedef struct firmware {
    const image_header *image;
    const khs_config *config;
    const khs_cfg_partition *partitions;
    const khs_cfg_map *maps;
    const khs_cfg_region *regions;
    khs_core *core;
    uint8_t **memory; /* by region */
    bool *writable;   /* by region */
    cpu *cpus;        /* by partition */
    cpu *running;     /* whose address space is in force */
    cpu *vector_of;   /* whose vector registers are in the CPU */
    uint64_t cycles_per_tick; /* fixed point, see run.c */
    uint64_t ticks_per_cycle;
    uint64_t counts_per_tick;
    uint32_t timer_hz;
    uint64_t clock; /* what board_clock has counted up to clock_read */
    uint32_t clock_read;
    bool paced;         /* virtual time waits for the clock: on real boards and for devices */
    uint32_t window;    /* partition whose lines are open */
    bool looks;         /* it has some */
    uint32_t ports;     /* and whose I/O ports */
    uint32_t seen;      /* board_clock, when `elapsed` was found */
    uint64_t elapsed;   /* ticks since the boot */
    uint64_t remainder; /* fraction of a tick */
    uint64_t call_ticks;  /* of the kernel, in a measurement that a hypercall ends; fixed point */
    uint64_t timer_ticks; /* and in one that the timer ends */
    uint32_t start_ticks;  /* from the timer's start to the guest's first instruction */
} firmware;

static inline const void *image_at(const firmware *f, image_part part)
{
    return (const uint8_t *)f->image + part.offset;
}

/* Where a runner that shares memory reads; only if the image has a log_size. */
static inline channel_log *image_log(const firmware *f)
{
    return (channel_log *)((uintptr_t)f->image + (uintptr_t)f->image->size);
}

static inline const void *config_table(const firmware *f, khs_table table)
{
    return (const uint8_t *)f->config + table.offset;
}

/* memory.c */
void memory_open(firmware *f);
void memory_reset(firmware *f, uint32_t region);
uint8_t *memory_at(const firmware *f, uint32_t partition, uint64_t address, uint64_t size, uint32_t rights);
bool memory_is_mapped(const firmware *f, uint32_t partition, uint64_t address);

/* run.c */
void run_open(firmware *f);
void run_partition(firmware *f, uint32_t partition, uint64_t budget);
/* Puts what the calling convention wants on the guest's stack. */
void run_call_frame(firmware *f, uint32_t partition, uint64_t argument);

/* Ticks of so many cycles, and what is left of them for the next time. */
uint64_t run_ticks(const firmware *f, uint32_t cycles, uint64_t *remainder);

/* devices.c */
void devices_open(firmware *f);
void devices_enter(firmware *f, uint32_t partition);
void devices_interrupt(firmware *f, uint32_t line);
void devices_return(firmware *f, uint32_t partition);
/* If the system is paced: waits until the clock says what virtual time is; how far that may go on
 * without another look. */
uint64_t devices_pace(firmware *f);

/* channel.c */
void channel_drain(firmware *f);
/* `kind`: CHANNEL_STATUS or CHANNEL_END. */
void channel_report(const firmware *f, uint32_t kind, uint32_t boot_status);
void console_text(const char *text);
void console_hex(uint64_t value);

#endif
