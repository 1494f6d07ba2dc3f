/* What a partition is told when it starts: one read-only region, its address is the
 * first argument of the entry point. Made by `khs build`, little-endian; `*_at` are
 * byte offsets from its start, texts end with a zero. */
#ifndef KHS_START_H
#define KHS_START_H

#include <stdint.h>

#define KHS_START_MAGIC 0x5453484bu /* "KHST" */
#define KHS_START_VERSION 3u

struct khs_start_list {
    uint32_t at;    /* of the first record */
    uint32_t count;
};

struct khs_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t size;      /* of everything */
    uint32_t partition; /* own number */
    uint32_t name_at;
    uint32_t pad;
    uint64_t heap; /* address and bytes of the heap, 0 if none */
    uint64_t heap_size;
    uint64_t period_ns;
    uint64_t deadline_ns;
    struct khs_start_list args;       /* struct khs_start_text */
    struct khs_start_list env;        /* struct khs_start_text: "NAME=value" */
    struct khs_start_list ports;      /* struct khs_start_port, the number is the place in the list */
    struct khs_start_list inputs;     /* struct khs_start_input, likewise */
    struct khs_start_list regions;    /* struct khs_start_region: named shared regions */
    struct khs_start_list partitions; /* struct khs_start_text, with partition-control only */
    struct khs_start_list schedules;  /* struct khs_start_text, with schedule-switch only */
    struct khs_start_list devices;    /* struct khs_start_device */
};

struct khs_start_text {
    uint32_t at;
};

struct khs_start_port {
    uint32_t name_at; /* the channel's name */
    uint32_t kind;      /* KHS_PORT_SAMPLING, KHS_PORT_QUEUING, KHS_PORT_CALL */
    uint32_t direction; /* KHS_PORT_SOURCE, KHS_PORT_DESTINATION */
    uint32_t message_size;
    uint32_t depth;
    uint32_t riid; /* the server's endpoint id of a call channel, the own endpoint id of a destination */
};

struct khs_start_input {
    uint32_t name_at;
    uint32_t capacity;
};

struct khs_start_region {
    uint32_t name_at;
    uint32_t rights; /* 1 read, 2 write */
    uint64_t address;
    uint64_t size;
};

struct khs_start_device {
    uint32_t name_at;
    uint32_t bus; /* KHS_DEVICE_MEMORY, KHS_DEVICE_IO */
    uint32_t irq;  /* number of its first virtual interrupt; 0xffffffff if it has none */
    uint32_t irqs; /* how many it has, numbered from there on */
    uint32_t size;
    uint32_t pad;
    uint64_t address; /* of its registers, or its first I/O port */
};

#define KHS_DEVICE_MEMORY 0u
#define KHS_DEVICE_IO 1u

#endif
