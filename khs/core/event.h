/* The event stream: what the kernel did, in order, the same on both hosts.
 *
 * A record has a module part (global time and identities) and a partition part:
 * what the partition itself could observe, with its own clock and without global
 * counters, so that a neighbour cannot show in it. The partition hash covers the
 * partition parts of records with KHS_VISIBLE, the run hash covers everything.
 */
#ifndef KHS_EVENT_H
#define KHS_EVENT_H

#include <stdint.h>

#define KHS_TRACE_VERSION 2u
#define KHS_MODULE 0xffffu /* `partition` of events of the module itself */
#define KHS_EVENT_MODULE_BYTES 16u

enum khs_event_type {
    KHS_EV_BOOT = 1,      /* arg: clock_hz, partitions */
    KHS_EV_START = 2,     /* partition starts: code mode, value start condition; arg: class, initiator class */
    KHS_EV_MODE = 3,      /* code new mode, value old mode */
    KHS_EV_HYPERCALL = 4, /* number, code, value; arg: arguments as passed (of an unknown one, its
                             number); data: bytes delivered to the guest, the message and behind it
                             the struct that was written for it */
    KHS_EV_RESUME = 5,    /* a blocked hypercall ends: number, code, value; data: likewise */
    KHS_EV_VERDICT = 6,   /* judged: code reason, value granted; arg: see khs_verdict_arg; data: the message */
    KHS_EV_FAULT = 7,     /* code enum khs_fault, arg: pc, address, detail */
    KHS_EV_HEALTH = 8,    /* code error id, value action; arg: level, state, number of the application
                             error, of the partition's input that overflowed or its device; data: text */
    KHS_EV_INTERRUPT = 9, /* delivered: code irq */
    KHS_EV_INPUT = 10,    /* outside bytes reach the queue of input `code`; value 1 = overflow; data: bytes */
    KHS_EV_CONSOLE = 11,  /* data: text */
    KHS_EV_SCHEDULE = 12, /* takes effect: code new, value old */
    KHS_EV_POLICY = 13,   /* takes effect: code policy number, value objects kept; arg: its sequence
                             number, objects; data: a bit for each object, 1 = kept its state, as
                             many as fit a message. Refused: value KHS_NONE, arg: enum khs_status,
                             bytes of state it needs and that are reserved if that is why */
    KHS_EV_STOP = 14,     /* module stops: code enum khs_stop_cause */
    KHS_EV_WAIT = 15,     /* the guest executed an idle instruction */
    KHS_EV_AUDIT = 16,    /* the verdict right before is to be recorded: code audit level, value calls
                             recorded; data: kss_audited, at most KHS_AUDIT_CALLS of them */
};

/* Calls that the audit record of one verdict lists; it tells if there were more. */
#define KHS_AUDIT_CALLS 256u

enum khs_event_flag {
    KHS_VISIBLE = 1, /* part of the partition's own trace */
};

/* arg[] of KHS_EV_VERDICT; sids are here because `arg` of an invisible record is no
 * partition's to see. */
enum khs_verdict_arg {
    KHS_V_KIND = 0,   /* enum kss_kind, KHS_V_TRIAL | policy sequence << 32 */
    KHS_V_CLASSES = 1, /* src class | dst class << 32 */
    KHS_V_SIDS = 2,   /* src sid | dst sid << 32 */
    KHS_V_RULE = 3,   /* deciding rule | rules called << 32 */
    KHS_V_PARTITIONS = 4, /* src partition | dst partition << 32; KHS_NONE: kernel or Einit */
    KHS_V_ARGS = 5,
};

/* The event could not be carried out even if granted (a full queue, say): no state changed. */
#define KHS_V_TRIAL 0x80000000u

enum khs_fault {
    KHS_FAULT_READ = 1,    /* memory: detail 0 unmapped, 1 no right */
    KHS_FAULT_WRITE = 2,
    KHS_FAULT_EXECUTE = 3,
    KHS_FAULT_UNDEFINED = 4,  /* no such instruction on this board */
    KHS_FAULT_PRIVILEGED = 5, /* privileged, I/O or clock instruction */
    KHS_FAULT_DIVIDE = 6,
    KHS_FAULT_BREAKPOINT = 7, /* breakpoint or single-step trap nobody asked for */
    KHS_FAULT_TRAP = 8,       /* any other trap number: detail */
    KHS_FAULT_ALIGNMENT = 9,
    KHS_FAULT_ISA = 10,       /* left the instruction set of the image (Thumb) */
    KHS_FAULT_ENGINE = 11,    /* the CPU engine gave up: detail says how */
};

enum khs_stop_cause {
    KHS_STOP_PRIVILEGED = 1, /* khs_module_stop */
    KHS_STOP_HEALTH = 2,     /* health monitor */
    KHS_STOP_BOOT_DENIED = 3, /* the policy denied the start of the kernel or Einit */
};

/* A record: this header, `args` u64 values, `data` bytes, zero padding to a multiple of 8. */
typedef struct khs_event {
    /* module part: KHS_EVENT_MODULE_BYTES */
    uint64_t tick;      /* global */
    uint32_t size;      /* of the whole record, a multiple of 8 */
    uint16_t partition; /* or KHS_MODULE */
    uint16_t flags;     /* enum khs_event_flag */
    /* partition part: the rest */
    uint64_t local;  /* ticks charged to the partition since it was configured; 0 for the module */
    uint16_t type;   /* enum khs_event_type */
    uint16_t number; /* hypercall number, 0 otherwise */
    uint32_t code;
    uint32_t value;
    uint16_t args; /* number of u64 that follow */
    uint16_t pad;
    uint32_t data; /* bytes after the args */
    uint32_t pad2;
} khs_event;

_Static_assert(sizeof(khs_event) == 48, "layout");

#define KHS_EVENT_ARGS_MAX 6u

#endif
