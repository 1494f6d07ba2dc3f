/* The host's own types. A khs_cpu is one partition's processor: a main engine that
 * runs whole blocks and a twin that runs the last few instructions of a window. */
#ifndef KHS_HOST_INTERNAL_H
#define KHS_HOST_INTERNAL_H

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unicorn/unicorn.h>

#include "debug.h"
#include "host.h"

#define KHS_PAGE 4096u
#define KHS_RARE(condition) __builtin_expect(!!(condition), 0)

/* ------------------------------------------------------------ memory.c */

typedef struct khs_region_memory {
    uint8_t *base;
    uint64_t size;
    bool writable;   /* some partition may write it */
    bool executable; /* some partition may execute it */
    uint8_t *lengths; /* of x86 instructions, see x86_code.c; NULL without code */
    uint64_t golden; /* where its initial content lies, and how much in whole pages */
    uint64_t golden_size;
} khs_region_memory;

typedef struct khs_memory {
    int golden; /* memfd with the initial content of every region, */
    uint64_t golden_size;
    uint8_t *view; /* seen for reading, see khs_memory_view */
    int table; /* this process' page table; -1 if nobody may see it */
    uint32_t count;
    khs_region_memory *regions;
} khs_memory;

bool khs_memory_open(khs_memory *memory, const khs_config *config, const khs_host_bytes *image,
                     khs_host_error *error);
void khs_memory_close(khs_memory *memory);
/* Makes memory.view, and looks for the page table; false if that cannot be had. */
bool khs_memory_view(khs_memory *memory);
/* Takes a region back to its initial content. */
void khs_memory_reset(khs_memory *memory, uint32_t region);

/* ------------------------------------------------------------ region.c */

/* Whether the input writes into a region, and may. */
bool khs_region_accepts(khs_host *host, const khs_input *input);
/* The tick of the next such input that was not made. */
uint64_t khs_region_next(khs_host *host);
/* Makes those that are due. After KHS_PAUSE alone: what the kernel does at the tick is done. */
void khs_region_write(khs_host *host);

/* ------------------------------------------------------------ guard.c */

/* Around guest code: an abort or a crash of the CPU engine comes back as a signal number. */
typedef struct khs_guard {
    sigjmp_buf back;
    volatile sig_atomic_t armed;
    volatile sig_atomic_t signal;
    void *stack;
    stack_t stack_before;
    struct khs_guard *outer;
} khs_guard;

bool khs_guard_enter(khs_guard *guard);
void khs_guard_leave(khs_guard *guard);

/* ------------------------------------------------------------ arch_*.c */

typedef struct khs_cpu khs_cpu;

/* A translated block, or a single instruction on the twin. */
typedef struct khs_block {
    uint64_t pc;
    uint32_t size;
    uint32_t ticks; /* instructions */
} khs_block;

/* A fault as a hook saw it. */
typedef struct khs_latch {
    uint32_t kind; /* enum khs_fault, 0 = none */
    uint32_t detail;
    uint64_t pc;
    uint64_t address;
} khs_latch;

typedef struct khs_isa {
    uc_arch arch;
    uc_mode mode;
    int model;
    int pc;
    int sp;
    int trapped[2]; /* read at a hypercall: its number, and the flags if they are part of its result */
    int trapped_count;
    int arguments[6];
    int results[2];
    const int *registers; /* as khs_host_registers gives them */
    uint32_t register_count;
    uint32_t pc_index; /* in `registers` */
    /* Takes a fresh engine to user mode, registers zero, floating point on. */
    bool (*user_mode)(uc_engine *uc);
    /* Adds the hooks that only this architecture needs. */
    bool (*hooks)(khs_cpu *cpu, uc_engine *uc);
    /* Whatever the block that was not entered needs on the main engine, which has stopped. */
    void (*prepare)(khs_cpu *cpu);
    uc_cb_hookcode_t on_block; /* of main engines */
    uc_cb_hookcode_t on_code;  /* of twins */
    /* Calls a guest function: a start (`fresh`) or a virtual interrupt. */
    void (*enter)(khs_cpu *cpu, uint64_t pc, uint64_t sp, uint64_t argument, bool fresh);
    /* Instructions of straight-line code, all of it known, from `from` to `to`. */
    uint32_t (*distance)(khs_cpu *cpu, uint64_t from, uint64_t to);
    /* How far code from `pc` up to `edge` is known; NULL if no block reaches over the edge
     * of what may be executed. */
    uint64_t (*known)(khs_cpu *cpu, uint64_t pc, uint64_t edge);
    /* The engine came back of itself behind the instruction that ends at cpu->pc. */
    bool (*idles)(khs_cpu *cpu);
    /* Sets the result registers, and what else the trap instruction changes. */
    void (*set_result)(khs_cpu *cpu, uint32_t code, uint32_t value);
} khs_isa;

extern const khs_isa khs_isa_armv7, khs_isa_x86, khs_isa_x64;

#include "x86.h"

/* ------------------------------------------------------------ scan.c */

/* Ascending addresses at which an instruction must not be translated. Unicorn keeps pointers
 * to them; behind the last there is room for KHS_EXITS_SPARE more, as many as there are
 * addresses behind an instruction's first. */
#define KHS_EXITS_SPARE KHS_X86_LONGEST
typedef struct khs_exits {
    uint64_t *at; /* NULL if there are none */
    uint32_t count;
} khs_exits;

/* Offset of the first instruction in contiguous code that must not be translated, or `size`. */
uint64_t khs_scan(uint32_t arch, const uint8_t *code, uint64_t size);
/* Those of a partition. False if they are too many for ordinary code. */
bool khs_exits_find(khs_host *host, uint32_t partition, khs_exits *exits, khs_host_error *error);
bool khs_exits_has(const khs_exits *exits, uint64_t address);

/* ------------------------------------------------------------ engine.c, exact.c */

enum khs_reason {
    KHS_RUNNING_ON, /* no reason to stop yet */
    KHS_AT_BUDGET,
    KHS_AT_TRAP,
    KHS_AT_WAIT,
    KHS_AT_FAULT,
    KHS_AT_KERNEL, /* a hypercall, and the kernel has been told */
    KHS_AT_BREAK,  /* before an instruction that a debugger asked for */
    KHS_AT_WATCH,  /* behind one that touched what a debugger watches */
    KHS_AT_GUARD,  /* in the midst of one that touches a page with something of that */
    KHS_AT_DEVICE, /* before an access to a device, which the twin has to make */
};

/* What the kernel did to a CPU in the middle of a hook, where its context is in use. */
typedef struct khs_postponed {
    bool any;
    bool start;
    bool interrupt_return;
    bool interrupt;
    uint32_t irq;
    uint64_t handler;
} khs_postponed;

#include "access.h"

#define KHS_BLOCKS 16384u
#define KHS_HOOKED 64u

struct khs_cpu {
    /* what every block touches */
    uint64_t left; /* ticks not yet given to a block; 0 once something is latched */
    khs_block now; /* entered last */
    uint64_t break_low;  /* breakpoints lie from here on; no block overlaps a span of 0 */
    uint64_t break_span;
    uint32_t unknown; /* bytes of the block that was not entered, as not all of it is known */
    uint64_t unknown_from; /* its first instruction that is not */
    /* where and why it stopped */
    uint64_t pc;   /* next instruction */
    uint64_t kept; /* `left` when something was latched */
    uint64_t given; /* `left` when the engine was started */
    uint32_t reason;             /* enum khs_reason */
    uint64_t budget;             /* of the run, or since the last hypercall */
    bool in_hook;                /* the kernel is at work inside a hook */
    uint64_t aside;  /* ticks that are left, but not for the twin's present run */
    khs_site *site;  /* that is being executed, while `left` is `site_left` */
    uint64_t site_left;
    bool cut;        /* the budget ends within this block: the hook behind the site stops */
    bool sited;      /* the twin made an access */
    bool repeats;    /* it makes reads that `main` made before it stopped in the midst of the instruction, */
    uint64_t asked;  /* at this access to a device in memory: its address, and whether it is a write */
    khs_device *at_port; /* found last */
    bool spoilt;     /* x86: `in` faulted, and what it puts into rax it must not have */
    uint64_t rax;
    khs_postponed postponed;
    khs_latch fault;
    uint64_t flags; /* at the last hypercall, see khs_isa.trapped */
    khs_latch refused; /* it cannot go on until it is started again */
    khs_latch interrupted_refused;
    bool tainted;      /* its engines translated what they must not run */

    /* debug.c */
    const khs_stops *stops; /* NULL: nobody wants it to stop */
    uint32_t calls;  /* hypercalls that must leave the hook they were made in */
    bool skip;       /* the breakpoint at `pc` was met before */
    khs_touch touch;
    uint64_t called; /* the hypercall that has not come back, + 1; 0 = none */
    uint64_t last;   /* tick behind the last instruction */

    uint32_t partition;
    khs_host *host;
    khs_exits *exits;
    const uint8_t *code; /* the code region that was looked into last */
    uint8_t *lengths;
    uint64_t code_start;
    uint64_t code_size;
    uc_engine *main;
    uc_engine *twin;         /* opened on first use */
    uc_engine *watcher;      /* a twin that sees accesses to memory; likewise */
    uc_context *transfer;    /* between the two */
    uc_context *interrupted; /* kept for khs_port_interrupt_return */
    uint64_t interrupted_pc;
    uint64_t blocks[KHS_BLOCKS]; /* x86: what is known of blocks, see arch_x86.c */
    uint64_t hooked[KHS_HOOKED]; /* x86: instructions with hooks of their own on `main` */
    uint32_t hooked_count;
    khs_sites *sites; /* NULL until there is one */
    khs_seen seen[KHS_SEEN];
};

enum khs_engine_kind {
    KHS_ENGINE_MAIN,
    KHS_ENGINE_TWIN,
    KHS_ENGINE_WATCHER,
    KHS_ENGINE_BARE,     /* for measuring: as Unicorn comes, without hooks */
    KHS_ENGINE_BARE_TLB, /* the same with the main engine's TLB and its hook */
};
/* An engine for the partition; NULL if Unicorn refuses. */
uc_engine *khs_engine_open(khs_cpu *cpu, enum khs_engine_kind kind);
/* Runs until a hook stops it. An engine lost to an abort becomes NULL. */
void khs_engine_start(khs_cpu *cpu, uc_engine **engine);
/* The engine cannot do its work: a fault, until the partition is started again. */
void khs_engine_refuse(khs_cpu *cpu, uint32_t detail);
void khs_context_free(uc_context *context); /* NULL is fine, unlike with Unicorn */
/* Takes a context of user mode to start partitions with. */
bool khs_engine_prototype(khs_host *host);

/* Called by hooks. `begun`: the instruction at fault->pc, in the current block, faulted;
 * otherwise the block was complete. */
void khs_latch_fault(khs_cpu *cpu, uc_engine *uc, const khs_latch *fault, bool begun);
/* The instruction that ends the current block was the hypercall trap. */
void khs_latch_trap(khs_cpu *cpu, uc_engine *uc);
/* The instruction that ends the current block, at `pc`, was some other trap. */
void khs_latch_other_trap(khs_cpu *cpu, uc_engine *uc, uint32_t kind, uint32_t detail, uint64_t pc);
/* What is to come at `pc` is what a debugger wants to see before. */
void khs_latch_stop(khs_cpu *cpu, uc_engine *uc, uint32_t reason, uint64_t pc);
/* The block does not fit into the budget. */
void khs_latch_budget(khs_cpu *cpu, uc_engine *uc, uint64_t pc);

/* Takes the partition to its entry point; false if no engine can be had. */
bool khs_cpu_start(khs_cpu *cpu);
void khs_cpu_close(khs_cpu *cpu);
/* Its engines alone: one to run on, unless it has one; or none. */
bool khs_cpu_open(khs_cpu *cpu);
void khs_cpu_close_engines(khs_cpu *cpu);
/* Number of the hypercall just made; UINT32_MAX, which is none, if it is wider. */
uint32_t khs_cpu_number(khs_cpu *cpu);
/* Runs for at most `budget` ticks. */
void khs_cpu_run(khs_cpu *cpu, uint64_t budget, khs_return *why);

/* Memory of a partition by its addresses: a pointer to the byte and how many follow it in
 * the same region; NULL if nothing with all `rights` is mapped there. */
uint8_t *khs_guest_at(const khs_host *host, uint32_t partition, uint64_t address, uint32_t rights, uint64_t *room);
/* Makes the region at `address` the one in cpu->code, if it is code. */
bool khs_cpu_find_code(khs_cpu *cpu, uint64_t address);
/* Code at `address`: where it lies or, from several regions that follow each other, copied
 * to `buffer`. `size`: bytes wanted, then bytes there. */
const uint8_t *khs_cpu_code(khs_cpu *cpu, uint64_t address, uint8_t *buffer, uint32_t *size);

static inline uint64_t khs_block_end(const khs_block *block)
{
    return block->pc + block->size;
}

/* ports.c: the partition's CPU, made on first use; NULL if there is no memory for it. */
khs_cpu *khs_cpu_of(khs_host *host, uint32_t partition);
/* Does what was postponed, now that the engine has stopped. */
void khs_port_catch_up(khs_cpu *cpu);

/* run.c: the guest trapped, in a hook. False if the engine has to stop first. */
bool khs_host_trap(khs_cpu *cpu, uc_engine *uc);
/* Time to look whether someone wants the run to end. */
bool khs_host_is_due(const khs_host *host);
/* What is next, up to host->limit. */
khs_action khs_host_next(khs_host *host);
/* For devices, which are looked at between two of these: what is left to be dealt with at this tick,
 * which makes host->next known if it is not done with that; then what comes next, up to `until` or
 * the end of the major frame. */
void khs_host_settle(khs_host *host);
void khs_host_find(khs_host *host, uint64_t until);
/* Runs the partition that host->next says; afterwards host->next may be known already. */
void khs_host_guest(khs_host *host);
uint64_t khs_host_ns(void);
#define KHS_YIELD_NS 50000000ull

/* ------------------------------------------------------------ debug.c */

/* Whether a debugger stops before the instruction at `pc`, or before one of those in a block. */
bool khs_is_break(const khs_cpu *cpu, uint64_t pc);
bool khs_has_break(const khs_cpu *cpu, uint64_t pc, uint64_t size);
static inline bool khs_near_break(const khs_cpu *cpu, uint64_t pc, uint64_t size)
{
    return pc + size - 1 - cpu->break_low < cpu->break_span + size - 1;
}
/* The next instruction is one to stop before. */
static inline bool khs_at_break(const khs_cpu *cpu)
{
    return cpu->break_span != 0 && !cpu->skip && khs_is_break(cpu, cpu->pc);
}
/* Hooks: the debugger wants to stop before the block; before the instruction, or there is no tick
 * left for it. Then they have latched that. */
static inline bool khs_block_stops(khs_cpu *cpu, uc_engine *uc, uint64_t pc, uint32_t size)
{
    if (!KHS_RARE(khs_near_break(cpu, pc, size)) || !khs_has_break(cpu, pc, size))
        return false;
    cpu->unknown = size;
    cpu->unknown_from = pc;
    khs_latch_budget(cpu, uc, pc);
    return true;
}
static inline bool khs_code_stops(khs_cpu *cpu, uc_engine *uc, uint64_t pc)
{
    if (KHS_RARE(cpu->touch.any))
        khs_latch_stop(cpu, uc, KHS_AT_WATCH, pc);
    else if (KHS_RARE(cpu->left == 0))
        khs_latch_budget(cpu, uc, pc);
    else if (KHS_RARE(cpu->break_span != 0) && !cpu->skip && khs_is_break(cpu, pc))
        khs_latch_stop(cpu, uc, KHS_AT_BREAK, pc);
    else
        return false;
    return true;
}
/* Whether a debugger watches some access to the page: bits of enum khs_host_access. */
uint32_t khs_watched_page(const khs_cpu *cpu, uint64_t page);
static inline bool khs_is_watched(const khs_cpu *cpu)
{
    return KHS_RARE(cpu->stops != NULL) && cpu->stops->watch_count > 0;
}
/* Hook of watchers. */
void khs_on_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *data);
/* Whether a hypercall is among those of khs_host_set_calls. */
static inline bool khs_stops_at(uint32_t calls, uint32_t number)
{
    return KHS_RARE(calls >> (number < 31u ? number : 31u) & 1u);
}
/* Looks at new records; whether the run is to stop behind one. */
bool khs_debug_notes(khs_host *host);
/* A new CPU has the stops of its partition. */
void khs_debug_arm(khs_cpu *cpu);
void khs_debug_disarm(khs_host *host);
void khs_debug_close(khs_host *host);

/* ------------------------------------------------------------ host.c */

typedef struct khs_policy_image {
    void *data;
    size_t size;
} khs_policy_image;

typedef struct khs_policy_swap {
    uint64_t frame;
    uint32_t policy;
} khs_policy_swap;

struct khs_host {
    khs_config *config;
    const khs_cfg_partition *partitions;
    const khs_cfg_map *maps;
    const khs_cfg_region *regions;
    const khs_isa *arch;
    khs_memory memory;
    khs_exits *exits; /* by partition */
    khs_cpu **cpus; /* by partition; NULL until it is first started */
    uc_context *initial;
    uint32_t cache_main; /* bytes */
    uint32_t cache_twin;
    uint32_t abandoned;
    uint32_t abandoned_most;
    khs_guard guard;

    khs_core *core;
    void *state;
    uint8_t *ring;
    uint64_t ring_size;
    bool taken; /* what is in the ring was handed out */
    bool booted;
    bool running;
    bool is_next_known;
    khs_action next;
    uint64_t limit; /* given to khs_next */
    uint64_t spent; /* host time since the last look, as ticks */
    atomic_bool stop;
    khs_policy_image *policies;
    uint32_t policy_count;
    khs_input *inputs; /* their data too */
    uint64_t input_count;
    uint64_t input_room;
    uint64_t written; /* those before it that go to regions were made */
    khs_policy_swap *swaps; /* from outside */
    uint64_t swap_count;
    khs_debug debug;

    khs_snapshot *recent; /* with which the next one shares what has not changed */
    uint64_t kept_bytes;  /* of all */
    uint64_t context_size;
    khs_device **devices;
    struct khs_device_state *device_states; /* by device; from the first boot on */
    uint32_t device_count;
    uint32_t looked; /* whose devices were looked at last, in its window; KHS_NONE: none are behind that */
    struct khs_outer_fault *faults; /* of lines, in the order of their ticks */
    uint64_t fault_count;
    bool is_full; /* a device has much output that nobody has fetched */

    uint8_t *parts; /* drain.c; behind them the notable records */
    uint64_t parts_room;
    uint64_t *parts_at;
};

void khs_host_fail(khs_host_error *error, uint32_t failure, uint64_t where, const char *text);

#endif
