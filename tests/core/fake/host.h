/* A host of the kernel core for its tests: partitions are scripts or streams of random
 * actions instead of machine code, memory is plain memory. */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include <stdio.h>

#include "../../../khs/core/internal.h"

#define POLICIES_MAX 8u
#define COUNTERS 8u
#define INPUT_BYTES_MAX (1u << 20)

/* One line of a script. */
typedef enum op_kind {
    OP_RUN,   /* value ticks */
    OP_CALL,  /* hypercall `value` with `args` */
    OP_WAIT,  /* idle instruction */
    OP_FAULT, /* kind, address, detail */
    OP_POKE,  /* address, bytes */
    OP_PEEK,  /* address, length */
    OP_JUMP,  /* to op `value` of the section; one tick */
    OP_AGAIN, /* args[0] times to op `value`, counted in counter args[1]; one tick each */
} op_kind;

typedef enum operand_kind { OPERAND_NUMBER, OPERAND_LOAD, OPERAND_RESULT } operand_kind;

typedef struct operand {
    operand_kind kind; /* a number, the u32 at an address, or the value of the last hypercall */
    uint64_t number;
} operand;

typedef struct op {
    op_kind kind;
    uint32_t count;
    uint64_t value;
    operand args[KHS_EVENT_ARGS_MAX];
    uint8_t *bytes;
    uint32_t size;
} op;

/* What a partition does from its `start`-th start on, or in the handler at `handler`. */
typedef struct section {
    uint32_t partition;
    uint32_t start; /* 0 for a handler */
    uint64_t handler;
    op *ops;
    uint32_t count;
} section;

/* All that a CPU remembers: a snapshot copies it. */
typedef struct cpu_context {
    uint32_t section; /* KHS_NONE: nothing to do, spins */
    uint32_t at;
    uint64_t left; /* ticks of the current run */
    uint32_t code; /* result registers */
    uint32_t value;
    uint32_t counters[COUNTERS];
} cpu_context;

typedef struct cpu {
    cpu_context now;
    cpu_context saved; /* while an interrupt is handled */
    uint32_t starts;
    uint32_t handling; /* an interrupt */
    uint32_t last;     /* hypercall */
    uint32_t pad;
    uint64_t random; /* state of a random guest */
    uint64_t arguments[KHS_EVENT_ARGS_MAX]; /* of the hypercall just made */
} cpu;

typedef struct fake_host {
    khs_config *config;
    size_t config_size;
    uint8_t *image; /* memory.bin */
    size_t image_size;
    uint8_t *policies[POLICIES_MAX];
    size_t policy_sizes[POLICIES_MAX];
    uint32_t policy_count;
    khs_input *inputs;
    uint64_t input_count;
    uint64_t announced; /* inputs that khs_port_input admits to */
    khs_input *swaps;   /* tick: frame; target: policy */
    uint64_t swap_count;
    section *sections;
    uint32_t section_count;
    FILE *observed;

    khs_core *core;
    uint8_t *state;
    size_t state_size;
    uint8_t *ring;
    size_t ring_size;
    uint8_t *memory; /* all regions, one after the other */
    size_t memory_size;
    uint8_t **regions;
    cpu *cpus;

    bool random;    /* guests act at random */
    uint64_t *seeds; /* of each partition's random guest */
    uint64_t reseed[2]; /* partition that gets a seed of its own, and that seed */
} fake_host;

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *allocate(size_t size);
uint8_t *read_file(const char *path, size_t *size);

/* files.c */
void load_inputs(fake_host *host, const char *path);
void load_script(fake_host *host, const char *path);

/* host.c */
bool host_fits(const fake_host *host, uint64_t most);
khs_status host_boot(fake_host *host, size_t ring_size);
void host_free(fake_host *host);

/* guest.c, random.c: run a partition for at most `budget` ticks */
khs_return guest_run(fake_host *host, uint32_t partition, uint64_t budget);
khs_return random_run(fake_host *host, uint32_t partition, uint64_t budget);
uint64_t next_random(uint64_t *state);

/* audit.c: what must hold at all times, and of every event */
typedef struct audit {
    const fake_host *host;
    uint64_t tick;      /* of the last event */
    uint64_t events;
    uint64_t hash;      /* of all records */
    uint64_t *local;    /* per partition: last local time seen */
    uint64_t *visible;  /* per partition: hash of its own trace */
    uint64_t *granted;  /* per partition, counted from events */
    uint64_t *denied;
    uint64_t *hypercalls;
    uint64_t *faults;
    uint64_t *past;     /* ticks in windows of earlier schedules */
    uint64_t since;     /* when the current schedule began */
    uint32_t schedule;
    uint32_t reached[KHS_HYPERCALLS + 1][KHS_CODES]; /* for statistics */
    uint32_t blocked[KHS_HYPERCALLS + 1];
    uint32_t types[32];
    uint32_t reason; /* of the last event, if it was a verdict */
    bool judged;
} audit;

void audit_begin(audit *a, const fake_host *host);
void audit_end(audit *a);
void audit_events(audit *a, const uint8_t *records, size_t size);
void audit_state(const fake_host *host);
/* Counters of the core against the events; everything must have been drained. */
void audit_counters(const audit *a);

/* Makes `to`, which was begun, tell the same as `from`. */
void audit_copy(audit *to, const audit *from);

/* run.c: a host, its audit, and who takes the events */
typedef struct runner {
    fake_host host;
    audit audit;
    uint64_t returns; /* calls of khs_returned */
    void (*sink)(void *context, const uint8_t *records, size_t size);
    void *context;
} runner;

void runner_boot(runner *r, const fake_host *system, size_t ring_size);
void runner_free(runner *r);
khs_action_kind runner_step(runner *r, uint64_t until);
khs_action_kind runner_until(runner *r, uint64_t until);
void runner_drain(runner *r);

/* fuzz.c */
void fuzz(fake_host *host, uint64_t seed, uint64_t steps, uint64_t until, bool statistics);
void corrupt(fake_host *host, uint64_t seed, uint64_t count);

/* bench.c */
void bench(fake_host *host, uint32_t number, const uint64_t *arguments, uint64_t start, uint64_t count);

#endif
