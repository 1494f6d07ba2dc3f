/* The core's own types. State (everything that changes) is plain data without
 * pointers; struct khs_core holds the pointers and can be rebuilt from state. */
#ifndef KHS_INTERNAL_H
#define KHS_INTERNAL_H

#include "../../monitor/vm/kss.h"
#include "core.h"
#include "hypercall.h"

#define KHS_NEVER UINT64_MAX
#define KHS_RESTART_MEMORY 16u /* restarts remembered for [health] limit */
#define KHS_PARTITIONS_MAX 4096u
#define KHS_TOKEN_CLIENT_BITS 12u
#define KHS_BLOCK_MAX (1ull << 30) /* bytes of state, and of the smallest event ring */
#define KHS_PENDING_MAX 8u /* errors a partition's handler has not looked at */

typedef enum khs_wait {
    WAIT_NONE,
    WAIT_WINDOW, /* until an interrupt or the next window */
    WAIT_PERIOD,
    WAIT_CALL,
    WAIT_RECV,
    WAIT_RECEIVE, /* queuing port */
    WAIT_INPUT,
    WAIT_FAULT, /* faulted and the health table lets it be: only a restart ends it */
} khs_wait;

typedef enum khs_call_stage { CALL_NONE, CALL_QUEUED, CALL_RECEIVED } khs_call_stage;

/* Where debuggers stop: functions of their own, however much is compiled as one. */
#define KHS_LANDMARK __attribute__((noinline, used))

/* What a blocked hypercall still needs. */
typedef struct khs_waiting {
    uint32_t kind;   /* khs_wait */
    uint32_t number; /* hypercall */
    uint32_t port;   /* port or input number */
    uint32_t capacity;
    uint64_t buffer; /* guest addresses, checked when the wait began */
    uint64_t info;
    uint64_t until; /* tick of the timeout */
} khs_waiting;

/* The one outstanding call of a client. */
typedef struct khs_outgoing {
    uint32_t stage; /* khs_call_stage */
    uint32_t reader; /* of the call channel: names the server */
    uint32_t length;
    uint32_t generation;
    uint32_t ended_by; /* code of the call before: tells a late reply why */
    uint32_t pad;
    uint64_t order;      /* FIFO at the server */
    uint64_t policy_seq; /* in force when it was granted */
} khs_outgoing;

/* An error reported to the partition's own handler (ARINC 653 part 1, 3.8: GET_ERROR_STATUS). */
typedef struct khs_pending {
    uint64_t tick;
    uint32_t error;
    uint32_t detail;
    uint32_t length;
    uint32_t pad;
    uint8_t text[KHS_ERROR_TEXT_MAX];
} khs_pending;

typedef struct khs_partition {
    uint32_t mode;
    uint32_t start_condition;
    uint32_t restarts;
    uint32_t sid;
    uint64_t ticks;
    uint64_t idle_ticks;
    uint64_t debt; /* cost of hypercalls not yet paid in windows */
    khs_waiting wait;
    khs_outgoing call;
    uint64_t release_at;
    uint64_t deadline_at;
    uint64_t timer_at;
    uint64_t timer_period;
    uint64_t handler;
    uint32_t irq_pending;
    uint32_t irq_mask;
    uint32_t irq_flags;
    uint32_t in_handler;
    uint64_t hypercalls;
    uint64_t granted;
    uint64_t denied;
    uint64_t faults;
    uint64_t deadlines_met;
    uint64_t deadlines_missed;
    uint64_t restart_ticks[KHS_RESTART_MEMORY];
    uint32_t overrun; /* the last release found the work of an earlier one unfinished */
    uint32_t pending_head;
    uint32_t pending_fill;
    uint32_t pending_lost;
    khs_pending pending[KHS_PENDING_MAX];
} khs_partition;

/* A reader's end of a port channel; `data` follows: one message or `depth` of them,
 * each {u32 length, u32 pad, bytes}. */
typedef struct khs_queue {
    uint32_t head;
    uint32_t fill;
    uint32_t overflows;
    uint32_t pad;
    uint64_t written_at; /* sampling */
} khs_queue;

typedef struct khs_item {
    uint32_t length;
    uint32_t pad;
} khs_item;

/* Bytes from one item of a queue to the next. */
static inline size_t khs_item_stride(uint32_t message_size)
{
    return sizeof(khs_item) + (((size_t)message_size + 7u) & ~(size_t)7u);
}

typedef struct khs_state {
    uint64_t now;
    uint64_t frames;
    uint64_t frame_start;
    uint64_t slot_end; /* of the current window or gap */
    uint64_t next_due; /* no timer, timeout, release, deadline or input before this tick */
    uint64_t next_cut; /* and none before this one that stops or changes the memory of who runs */
    uint64_t entered_at; /* tick at which a guest came back, KHS_NEVER if that was dealt with */
    khs_return entered;
    uint64_t schedule_began;
    uint64_t input_index; /* of the next outside input */
    uint64_t call_order;
    uint64_t policy_seq;
    uint32_t slot_partition; /* KHS_NONE in a gap */
    uint32_t window; /* next window of the frame */
    uint32_t schedule;
    uint32_t next_schedule;
    uint32_t next_sid;
    uint32_t kernel_sid;
    uint32_t einit_sid;
    uint32_t stop_cause; /* enum khs_stop_cause, 0 while running */
    uint32_t policy_active; /* slot 0 or 1 */
    uint32_t policy_pending; /* a verified policy waits in the other slot */
    uint32_t policy_number[2]; /* of the archive; KHS_NONE: passed at run time */
    uint32_t policy_size[2];   /* bytes of a passed image */
    uint32_t kernel_class[2];  /* class numbers, by policy slot */
    uint32_t einit_class[2];
} khs_state;

struct khs_core {
    const khs_config *cfg;
    const khs_cfg_partition *cfg_partitions;
    const khs_cfg_schedule *cfg_schedules;
    const khs_cfg_window *cfg_windows;
    const khs_cfg_region *cfg_regions;
    const khs_cfg_map *cfg_maps;
    const khs_cfg_channel *cfg_channels;
    const khs_cfg_reader *cfg_readers;
    const khs_cfg_port *cfg_ports;
    const khs_cfg_input *cfg_inputs;
    const khs_cfg_health *cfg_health;

    khs_state *state;
    khs_partition *partitions;
    uint32_t *classes;       /* [slot][partition]: class number in that policy */
    uint64_t *reader_at;     /* offset of each reader's khs_queue in `base` */
    uint64_t *input_at;      /* likewise of each input */
    uint64_t *call_at;       /* of each partition's outgoing message */
    uint8_t *base;           /* the state block */
    uint8_t *scratch;        /* one message */
    uint8_t *policy_image[2];
    uint8_t *policy_state[2];
    kss_policy policy[2];

    void *port;
    uint8_t *ring;
    size_t ring_size;
    size_t ring_used;
    size_t ring_reserve;
    bool watched; /* khs_next pauses behind records, and a budget ends where anything becomes due */
};

/* Who takes part in a security event. */
typedef struct khs_subject {
    uint32_t class_number;
    uint32_t sid;
    uint32_t partition; /* KHS_NONE: the kernel or Einit */
} khs_subject;

/* What a hypercall handler wants done; the dispatcher alone does it. */
typedef enum khs_outcome_kind {
    OUT_DONE,      /* result to the caller */
    OUT_BLOCKED,   /* caller waits, see khs_block */
    OUT_NO_RESULT, /* registers stay as they are */
} khs_outcome_kind;

typedef enum khs_after {
    AFTER_NONE,
    AFTER_MODE,    /* target enters `mode` */
    AFTER_HEALTH,  /* the health monitor handles an application error */
    AFTER_STOP,    /* module stop */
} khs_after;

typedef struct khs_outcome {
    uint8_t kind;  /* khs_outcome_kind */
    uint8_t after; /* khs_after */
    uint16_t info_size;
    uint32_t code;
    uint32_t value;
    uint32_t copied; /* bytes, for the cost */
    uint32_t verdicts;
    const uint8_t *data; /* the `value` bytes of the message delivered to the caller */
    const uint8_t *info; /* the struct of `info_size` bytes written for it, where that lies */
    union {
        struct {
            uint16_t target, mode; /* AFTER_MODE */
        };
        uint32_t error; /* AFTER_HEALTH */
    };
} khs_outcome;

/* boot.c: sizes of a system whose tables were checked */
uint64_t khs_state_bytes(const khs_config *config);
uint64_t khs_ring_bytes(const khs_config *config);

/* event.c */
typedef struct khs_record {
    uint16_t type;
    uint16_t flags;
    uint16_t number;
    uint16_t args;
    uint32_t code;
    uint32_t value;
    uint32_t size;
    const uint64_t *arg;
    const void *data;
    const void *info; /* behind the data */
    uint32_t info_size;
} khs_record;
void khs_emit(khs_core *core, uint32_t partition, const khs_record *record);

/* memory.c */
uint8_t *khs_span(const khs_core *core, uint32_t partition, uint64_t address, uint32_t size,
                  uint32_t rights);
bool khs_tell(const khs_core *core, uint32_t partition, uint64_t address, const void *info, uint32_t size,
              khs_outcome *outcome);

/* policy.c: the policy enforcement point */
khs_subject khs_subject_of(const khs_core *core, uint32_t partition);
khs_subject khs_kernel(const khs_core *core);
khs_subject khs_einit(const khs_core *core);
kss_policy *khs_policy(khs_core *core);
bool khs_judge(khs_core *core, enum kss_kind kind, khs_subject src, khs_subject dst,
               uint32_t released_sid, const uint8_t *message, uint32_t size);
bool khs_judge_message(khs_core *core, enum kss_kind kind, uint32_t from, uint32_t to,
                       const uint8_t *message, uint32_t size, bool deliverable);
bool khs_judge_service(khs_core *core, uint32_t from, const uint8_t *message, uint32_t size, bool possible);
khs_status khs_policy_load(khs_core *core, uint32_t slot, uint32_t number, uint32_t size);
void khs_policy_apply(khs_core *core);
bool khs_policy_request(khs_core *core, uint32_t number, uint32_t size);

/* partition.c */
void khs_partition_boot(khs_core *core);
void khs_partition_mode(khs_core *core, uint32_t partition, uint32_t mode, khs_subject initiator,
                        uint32_t condition);
void khs_wake(khs_core *core, uint32_t partition, const khs_outcome *outcome);
void khs_wake_with(khs_core *core, uint32_t partition, uint32_t code);
void khs_module_stop(khs_core *core, uint32_t cause);

/* health.c */
bool khs_health_may_stop(const khs_core *core, uint32_t partition);
void khs_health(khs_core *core, uint32_t partition, uint32_t error, uint32_t detail,
                const uint8_t *text, uint32_t size);

/* dispatch.c: deals with what a guest came back for */
void khs_enter(khs_core *core, uint32_t partition);

/* due.c: what becomes due at a tick */
void khs_due_at(khs_core *core, uint64_t tick);
void khs_due(khs_core *core);
uint64_t khs_cut(const khs_core *core, uint32_t partition);
void khs_period_begin(khs_core *core, uint32_t partition);

/* interrupt.c */
void khs_interrupt_raise(khs_core *core, uint32_t partition, uint32_t irq);
void khs_interrupt_deliver(khs_core *core, uint32_t partition);

/* ipc.c, port.c */
void khs_calls_end(khs_core *core, uint32_t partition);
void khs_wait_end(khs_core *core, uint32_t partition, uint32_t code);
void khs_queues_empty(khs_core *core, uint32_t partition);
void khs_input_arrived(khs_core *core, const khs_input *input);

/* Handlers, one a hypercall; `a` holds its arguments. */
typedef khs_outcome khs_handler(khs_core *core, uint32_t self, const uint64_t *a);
#define KHS_DECLARE(name, ...) khs_handler khs_do_##name;
KHS_HYPERCALL_ROWS(KHS_DECLARE)

/* Every compiler has these two, freestanding as well. */
static inline void khs_copy(void *to, const void *from, size_t size)
{
    if (size)
        __builtin_memcpy(to, from, size);
}
static inline void khs_zero(void *to, size_t size) { __builtin_memset(to, 0, size); }

/* schedule.c: deals with the first of what became due and what the guest came back for */
void khs_catch_up(khs_core *core);

/* Outcomes. */
static inline khs_outcome khs_done(uint32_t code) { return (khs_outcome){.code = code}; }
static inline khs_outcome khs_delivered(uint32_t value, const uint8_t *data)
{
    return (khs_outcome){.value = value, .data = data, .copied = value};
}

/* The caller waits. Here and not in the outcome, which every hypercall passes on. */
static inline khs_outcome khs_block(khs_core *core, uint32_t self, khs_waiting wait)
{
    core->partitions[self].wait = wait;
    return (khs_outcome){.kind = OUT_BLOCKED};
}

/* The answer of a hypercall that only writes a struct. */
static inline khs_outcome khs_told(const khs_core *core, uint32_t self, uint64_t address, const void *info,
                                   uint32_t size)
{
    khs_outcome outcome = {0};
    if (!khs_tell(core, self, address, info, size, &outcome))
        outcome.code = KHS_CODE_BAD_POINTER;
    return outcome;
}

static inline uint64_t khs_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline bool khs_runnable(const khs_partition *p) { return p->mode != KHS_MODE_IDLE && p->wait.kind == WAIT_NONE; }

/* Ticks that copying costs: so much per started 64 bytes. */
static inline uint64_t khs_copy_cost(const khs_core *core, uint32_t size)
{
    return (uint64_t)core->cfg->cost_copy * (size / 64u + (size % 64u != 0));
}

/* Microseconds as ticks, rounded up. */
static inline uint64_t khs_us(const khs_core *core, uint32_t us)
{
    uint64_t whole = core->cfg->clock_hz / 1000000u, part = core->cfg->clock_hz % 1000000u;
    return us * whole + (us * part + 999999u) / 1000000u;
}

/* Ticks as nanoseconds, rounded down. */
static inline uint64_t khs_ns(const khs_core *core, uint64_t ticks)
{
    uint64_t hz = core->cfg->clock_hz;
    return ticks / hz * 1000000000u + ticks % hz * 1000000000u / hz;
}

#endif
