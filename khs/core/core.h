/* The separation kernel: public interface of the core for its hosts.
 *
 * Freestanding C11, no globals. A host (Unicorn or a board's firmware) asks
 * khs_next what to run, runs it, and says with khs_returned why it came back:
 *
 *     khs_next -> KHS_RUN partition, budget -> [guest runs] -> khs_returned
 *
 * The host supplies the khs_port_* functions below; each core knows its host by
 * the opaque `port`. Everything that changes lives in one block, so copying the
 * block is a snapshot of the kernel (semantics: "snapshot-ready").
 */
#ifndef KHS_CORE_H
#define KHS_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "event.h"

typedef struct khs_core khs_core;

/* ------------------------------------------------------------ life cycle */

typedef enum khs_status {
    KHS_OK_STATUS = 0,
    KHS_BAD_CONFIG, /* config.bin is inconsistent */
    KHS_BAD_POLICY_IMAGE,
    KHS_BAD_POLICY_CLASS, /* the policy does not know a class of the system */
    KHS_NO_MEMORY,
} khs_status;

/* Checks config.bin, which must be 8-byte aligned; `where`, if not NULL, receives the
 * offset of the defect. */
khs_status khs_config_check(const void *config, size_t size, size_t *where);

/* Bytes khs_core and its state need for this checked config; blocks 16-byte aligned. */
size_t khs_core_size(void);
size_t khs_state_size(const khs_config *config);
/* Smallest event ring: what may happen between two drains. Larger ones drain less often. */
size_t khs_ring_size(const khs_config *config);

/* Binds core to config, state, policy 0 (from khs_port_policy) and the event ring,
 * resets the state and takes the system to tick 0: the kernel, Einit and then each
 * partition are started under the policy. `ring` of `ring_size` bytes is drained with
 * khs_events/khs_drained. Partition memory must be in its initial state. */
khs_status khs_boot(khs_core *core, const khs_config *config, void *state, void *ring,
                    size_t ring_size, void *port);

/* Rebinds after the state block was restored in place by a copy. */
void khs_rebind(khs_core *core);

/* ------------------------------------------------------------ running */

typedef enum khs_action_kind {
    KHS_RUN,     /* run `partition` for at most `budget` ticks, then khs_returned */
    KHS_DRAIN,   /* the event ring is full: drain, then khs_next again */
    KHS_PAUSE,   /* `until` (see khs_next) is reached */
    KHS_STOPPED, /* the module stopped for good: KHS_EV_STOP says why */
} khs_action_kind;

typedef struct khs_action {
    khs_action_kind kind;
    uint32_t partition;
    uint64_t budget;
} khs_action;

/* What happens next. Never lets virtual time pass `until` (absolute tick). */
khs_action khs_next(khs_core *core, uint64_t until);

typedef enum khs_return_kind {
    KHS_RET_BUDGET,    /* all ticks used, or stopped early by the host: see ticks */
    KHS_RET_HYPERCALL, /* trap instruction executed and counted; pc behind it */
    KHS_RET_FAULT,     /* the faulting instruction is not counted: the core charges it */
    KHS_RET_WAIT,      /* idle instruction executed and counted */
} khs_return_kind;

typedef struct khs_return {
    khs_return_kind kind;
    uint32_t number; /* hypercall number */
    uint64_t ticks;  /* retired instructions, <= budget */
    struct {
        uint32_t kind; /* enum khs_fault */
        uint32_t detail;
        uint64_t pc;
        uint64_t address;
    } fault;
} khs_return;

/* The partition that khs_next named came back. The next khs_next deals with it, behind what became
 * due for others in the meantime. Returns the tick at which it came back. */
uint64_t khs_returned(khs_core *core, const khs_return *why);

/* Unread records, whole and contiguous; returns their length in bytes. */
size_t khs_events(const khs_core *core, const uint8_t **records);
/* Everything khs_events returned was taken. */
void khs_drained(khs_core *core);

/* ------------------------------------------------------------ looking */

typedef struct khs_partition_view {
    uint32_t mode;
    uint32_t sid;
    uint32_t blocked; /* hypercall number it waits in, KHS_NONE if none */
    uint32_t restarts;
    uint32_t halted; /* faulted, and the health table lets it be: waits for a restart */
    uint32_t pad;
    uint64_t ticks; /* charged */
    uint64_t idle_ticks;
    uint64_t hypercalls;
    uint64_t denied; /* events of which it was the source */
    uint64_t granted;
    uint64_t faults;
    uint64_t deadlines_met;
    uint64_t deadlines_missed;
} khs_partition_view;

void khs_view(const khs_core *core, uint32_t partition, khs_partition_view *view);
uint64_t khs_now(const khs_core *core);
uint64_t khs_frames(const khs_core *core); /* completed major frames */
uint64_t khs_frame_end(const khs_core *core); /* end of the current major frame */
uint32_t khs_schedule(const khs_core *core);
bool khs_has_stopped(const khs_core *core);

/* ------------------------------------------------------------ what the host supplies */

/* One outside input, stamped with the tick at which it becomes visible. */
typedef struct khs_input {
    uint64_t tick;
    uint32_t target; /* index into config inputs */
    uint32_t size;
    const uint8_t *data;
} khs_input;

/* Inputs were added behind those already announced (live input, between two runs). */
void khs_inputs_changed(khs_core *core);

/* Outside input number `index` of the run (they are numbered in tick order and never
 * change once their tick has passed); false if there is none yet. */
bool khs_port_input(void *port, uint64_t index, khs_input *input);

/* Host address of a region's memory; constant while the core lives. */
uint8_t *khs_port_region(void *port, uint32_t region);

/* Policy number `index`: those of the archive (see khs_config) and behind them those from
 * outside, which partitions cannot name. NULL if there is none. 8-byte aligned. */
const void *khs_port_policy(void *port, uint32_t index, size_t *size);

/* Number of the policy that comes into force from outside at the beginning of major frame
 * `frame`, whatever the schedules before it were; KHS_NONE if there is none. */
uint32_t khs_port_policy_at(void *port, uint64_t frame);

/* Resets a partition: private memory to its initial state (warm: but for regions with
 * KHS_REGION_KEEP), shared regions untouched, CPU context to (entry, stack, start_info),
 * interrupt state forgotten. */
void khs_port_start(void *port, uint32_t partition, bool warm);

/* Arguments 0..count-1 of the hypercall that the partition just made; there is room for six. */
void khs_port_arguments(void *port, uint32_t partition, uint32_t count, uint64_t *arguments);

/* Sets the result registers of a hypercall. */
void khs_port_result(void *port, uint32_t partition, uint32_t code, uint32_t value);

/* Saves the context in the kernel and enters `handler` with `irq` as first argument. */
void khs_port_interrupt(void *port, uint32_t partition, uint64_t handler, uint32_t irq);
/* Restores the context that khs_port_interrupt saved. */
void khs_port_interrupt_return(void *port, uint32_t partition);

#endif
