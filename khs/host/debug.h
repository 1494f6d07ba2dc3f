/* What a debugger wants of a system, and of each partition: see debug.c. */
#ifndef KHS_DEBUG_H
#define KHS_DEBUG_H

#include "host.h"

/* What a debugger wants of one partition. */
typedef struct khs_stops {
    uint64_t *breaks; /* ascending addresses */
    uint32_t break_count;
    uint32_t watch_count;
    khs_host_watch *watches;
    uint32_t entries; /* hypercalls to stop at when they are made: see khs_host_set_calls */
    uint32_t results; /* and when they return */
} khs_stops;

/* The first access of an instruction to what is watched. */
typedef struct khs_touch {
    bool any;
    uint32_t watch;
    uint64_t address;
    uint64_t pc;
} khs_touch;

typedef struct khs_debug {
    khs_stops *stops; /* by partition; NULL until a debugger sets some */
    khs_host_noted *noted; /* events to stop behind */
    uint32_t noted_count;
    bool armed;      /* breakpoints, watches and calls are in force */
    bool notes;      /* a debugged run stops behind events */
    bool holds;      /* and at every hypercall */
    uint32_t every;  /* hypercalls, of any partition, that must leave the hook they were made in */
    uint32_t steps;  /* partition that runs one instruction, KHS_HOST_ANY, or KHS_NONE */
    uint64_t looked; /* bytes of the ring */
    uint64_t found;  /* offset in the ring of a record to stop behind, KHS_HOST_NEVER */
    uint64_t fault_at; /* tick of the last fault */
    khs_host_goal goal;
    khs_host_halt halt; /* being reached, if it has a cause */
    uint64_t target;    /* tick to reach it at */
} khs_debug;

#endif
