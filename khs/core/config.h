/* config.bin: the checked description of one system, made by `khs build`.
 *
 * Little-endian, natural alignment, explicit padding, no pointers; all times in
 * ticks. Tables are arrays at the offsets the header gives (8-byte aligned, from
 * the start of the file). The core trusts nothing in it: khs_config_check reads
 * every field once, before anything else does.
 */
#ifndef KHS_CONFIG_H
#define KHS_CONFIG_H

#include <stdint.h>

#define KHS_CONFIG_MAGIC 0x4346534bu /* "KSFC" */
#define KHS_CONFIG_VERSION 3u
#define KHS_NONE UINT32_MAX

enum khs_arch { KHS_ARMV7 = 1, KHS_X86 = 2, KHS_X64 = 3 };
enum khs_right { KHS_R = 1, KHS_W = 2, KHS_X = 4 };
enum khs_region_flag {
    KHS_REGION_SHARED = 1, /* of several partitions; outlives their restarts */
    KHS_REGION_KEEP = 2,   /* survives a warm restart */
};
enum khs_channel_kind { KHS_SAMPLING = 0, KHS_QUEUING = 1, KHS_CALLS = 2 };
enum khs_direction { KHS_SOURCE = 0, KHS_DESTINATION = 1 };

/* Privileges, a bit each. */
enum khs_privilege {
    KHS_PRIV_SCHEDULE_SWITCH = 1,
    KHS_PRIV_PARTITION_CONTROL = 2,
    KHS_PRIV_POLICY_SWAP = 4,
    KHS_PRIV_HEALTH_LOG = 8,
    KHS_PRIV_MODULE_STOP = 16,
};

/* Health monitor (ARINC 653 part 1, 2.4): error id x system state -> level, action. */
enum khs_error {
    KHS_ERROR_DEADLINE_MISSED = 0,
    KHS_ERROR_APPLICATION = 1,
    KHS_ERROR_NUMERIC = 2,
    KHS_ERROR_ILLEGAL_INSTRUCTION = 3,
    KHS_ERROR_MEMORY_FAULT = 4,
    KHS_ERROR_STACK_OVERFLOW = 5,
    KHS_ERROR_START_DENIED = 6,
    KHS_ERROR_INPUT_OVERFLOW = 7,
    KHS_ERROR_HARDWARE_FAULT = 8, /* the engine, not the guest, failed */
    KHS_ERROR_DEVICE_FAULT = 9,   /* a device of the partition, or what is behind it, failed */
    KHS_ERRORS = 10,
};
enum khs_system_state { KHS_INITIALISING = 0, KHS_RUNNING = 1, KHS_STATES = 2 };
enum khs_level { KHS_LEVEL_PROCESS = 0, KHS_LEVEL_PARTITION = 1, KHS_LEVEL_MODULE = 2, KHS_LEVELS = 3 };
enum khs_hm_action {
    KHS_IGNORE = 0,
    KHS_LOG = 1,
    KHS_WARM_RESTART = 2,
    KHS_COLD_RESTART = 3,
    KHS_IDLE_PARTITION = 4,
    KHS_MODULE_STOP = 5,
    KHS_HM_ACTIONS = 6,
};

/* A table: `count` records from byte `offset`. */
typedef struct khs_table {
    uint32_t offset;
    uint32_t count;
} khs_table;

typedef struct khs_config {
    uint32_t magic;
    uint32_t version;
    uint64_t size;     /* of the whole file */
    uint64_t clock_hz; /* ticks per second */
    uint32_t arch;     /* enum khs_arch */
    uint32_t policies; /* of the archive: those that partitions may swap to, by number */
    uint64_t kernel_class; /* name hashes, see kss_find_class */
    uint64_t einit_class;
    uint32_t cost_call; /* ticks a hypercall costs beside its trap instruction */
    uint32_t cost_copy; /* per started 64 bytes */
    uint32_t cost_verdict;
    uint32_t max_message;  /* bytes of the largest message of any channel or kernel service */
    uint32_t policy_image; /* bytes reserved for a policy that a partition installs, twice */
    uint32_t policy_state; /* bytes reserved for policy state, twice */
    khs_table partitions;  /* khs_cfg_partition */
    khs_table schedules;   /* khs_cfg_schedule, the first is the initial one */
    khs_table windows;     /* khs_cfg_window */
    khs_table regions;     /* khs_cfg_region */
    khs_table maps;        /* khs_cfg_map, by partition, ascending address */
    khs_table channels;    /* khs_cfg_channel */
    khs_table readers;     /* khs_cfg_reader */
    khs_table ports;       /* khs_cfg_port, by partition */
    khs_table inputs;      /* khs_cfg_input, by partition */
    khs_table health;      /* khs_cfg_health, KHS_STATES x KHS_ERRORS per partition */
} khs_config;

/* Which part of a table belongs to a partition or a schedule. */
typedef struct khs_slice {
    uint32_t first;
    uint32_t count;
} khs_slice;

typedef struct khs_cfg_partition {
    uint64_t class_hash;
    uint64_t entry;      /* virtual addresses */
    uint64_t stack_top;
    uint64_t start_info; /* passed to the entry point as its first argument */
    uint64_t stack_guard; /* first byte and size of the unmapped range below the stack */
    uint64_t stack_guard_size;
    uint64_t period;   /* 0 = none */
    uint64_t deadline; /* from the release point; 0 = none */
    uint64_t phase;    /* first release point */
    uint64_t restart_within; /* 0 = no limit */
    uint32_t restart_limit;
    uint32_t restart_then; /* enum khs_hm_action once the limit is passed */
    uint32_t privileges;   /* bits of enum khs_privilege */
    uint32_t pad;
    khs_slice maps;
    khs_slice ports;
    khs_slice inputs;
} khs_cfg_partition;

typedef struct khs_cfg_schedule {
    uint64_t major_frame;
    khs_slice windows; /* ascending start, no overlap */
} khs_cfg_schedule;

typedef struct khs_cfg_window {
    uint64_t start;
    uint64_t length;
    uint32_t partition;
    uint32_t pad;
} khs_cfg_window;

typedef struct khs_cfg_region {
    uint64_t size; /* multiple of 4096 */
    uint64_t file_offset; /* initial content in memory.bin; the rest is zero */
    uint64_t file_size;
    uint32_t flags; /* bits of enum khs_region_flag */
    uint32_t pad;
} khs_cfg_region;

typedef struct khs_cfg_map {
    uint64_t address; /* in the partition; multiple of 4096 */
    uint32_t region;
    uint32_t rights; /* bits of enum khs_right, never W and X */
} khs_cfg_map;

typedef struct khs_cfg_channel {
    uint32_t kind;   /* enum khs_channel_kind */
    uint32_t source; /* partition: writer, sender or client */
    khs_slice readers; /* destinations; one, the server, for a call channel */
    uint32_t mid;          /* method of a port channel; KHS_NONE for calls */
    uint32_t message_size; /* largest message (requests and replies for calls) */
    uint32_t depth;        /* of each reader's queue; 0 unless queuing */
    uint32_t pad;
    uint64_t refresh;      /* sampling: age up to which a value is valid; 0 = always */
} khs_cfg_channel;

typedef struct khs_cfg_reader {
    uint32_t channel;
    uint32_t partition;
    uint32_t riid; /* endpoint id in the partition's class */
    uint32_t pad;
} khs_cfg_reader;

/* A partition's port: its number is its place in the partition's slice. */
typedef struct khs_cfg_port {
    uint32_t channel;
    uint32_t direction; /* enum khs_direction */
    uint32_t reader;    /* index into readers; KHS_NONE for a source */
    uint32_t pad;
} khs_cfg_port;

typedef struct khs_cfg_input {
    uint32_t partition;
    uint32_t capacity; /* bytes a message may have */
    uint32_t depth;
    uint32_t pad;
} khs_cfg_input;

typedef struct khs_cfg_health {
    uint16_t level;  /* enum khs_level */
    uint16_t action; /* enum khs_hm_action */
} khs_cfg_health;

_Static_assert(sizeof(khs_config) == 152, "layout");
_Static_assert(sizeof(khs_cfg_partition) == 120, "layout");
_Static_assert(sizeof(khs_cfg_schedule) == 16 && sizeof(khs_cfg_window) == 24, "layout");
_Static_assert(sizeof(khs_cfg_region) == 32 && sizeof(khs_cfg_map) == 16, "layout");
_Static_assert(sizeof(khs_cfg_channel) == 40 && sizeof(khs_cfg_reader) == 16, "layout");
_Static_assert(sizeof(khs_cfg_port) == 16 && sizeof(khs_cfg_input) == 16, "layout");
_Static_assert(sizeof(khs_cfg_health) == 4, "layout");

#endif
