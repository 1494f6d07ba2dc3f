/* The kernel on Unicorn: public interface of the shared library, for ctypes.
 *
 * One khs_host is one booted system. It is not thread safe, except for
 * khs_host_stop; different hosts may run in different threads. No function keeps
 * a pointer to its caller's memory.
 */
#ifndef KHS_HOST_H
#define KHS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/core.h"

/* The bit of an input's target that tells that it is a fault of that device: see enum khs_host_fault. */
#define KHS_HOST_FAULT 0x40000000u

#define KHS_API __attribute__((visibility("default")))

typedef struct khs_host khs_host;

typedef struct khs_host_bytes {
    const void *data;
    uint64_t size;
} khs_host_bytes;

enum khs_host_flag {
    /* Run x86 code that aborts the CPU engine. For tests of the abort guard. */
    KHS_HOST_UNSCANNED = 1,
};

/* 0 means the default. */
typedef struct khs_host_options {
    uint64_t cache_bytes;    /* code caches of all partitions together: 256 MiB */
    uint64_t ring_bytes;     /* event ring: 256 KiB, or what the system needs */
    uint32_t abandoned_most; /* engines that may be lost to aborts: 64 */
    uint32_t flags;          /* bits of enum khs_host_flag */
} khs_host_options;

enum khs_host_failure {
    KHS_HOST_FINE = 0,
    KHS_HOST_CONFIG,  /* config.bin is refused; `where` is the offset in it */
    KHS_HOST_MEMORY,  /* memory.bin does not hold what config.bin says */
    KHS_HOST_CODE,    /* too much code that the CPU engine cannot translate; `where` is an address */
    KHS_HOST_POLICY,  /* `where` is the number of the policy */
    KHS_HOST_SYSTEM,  /* this machine refuses: memory, Unicorn */
};

typedef struct khs_host_error {
    uint32_t failure; /* enum khs_host_failure */
    uint32_t partition; /* KHS_NONE unless it is about one */
    uint64_t where;
    char text[160];
} khs_host_error;

/* `detail` of KHS_FAULT_ENGINE, beside Unicorn's own error numbers (below 0x100), and of
 * KHS_FAULT_UNDEFINED. */
enum khs_host_detail {
    KHS_DETAIL_SIGNAL = 0x100,    /* + number of the signal that the engine died of */
    KHS_DETAIL_OPEN = 0x200,      /* no engine could be opened */
    KHS_DETAIL_EXHAUSTED = 0x201, /* too many engines were lost */
    KHS_DETAIL_STUCK = 0x202,     /* the engine does not advance */
    KHS_DETAIL_REFUSED = 1,       /* UNDEFINED: its result would depend on the host */
};

/* Loads a system; NULL and `error` if it is refused. Policy 0 is the one to boot with; those
 * behind the archive's own, as many as config.bin says, are for khs_host_policy_at. */
KHS_API khs_host *khs_host_open(const khs_host_bytes *config, const khs_host_bytes *memory,
                                const khs_host_bytes *policies, uint32_t policy_count,
                                const khs_host_options *options, khs_host_error *error);
KHS_API void khs_host_close(khs_host *host);

/* Adds an outside input (see khs_input), or a fault of a device: a byte, enum khs_host_fault. False if its tick is before that of an earlier
 * one or has already passed, or its target does not exist. */
KHS_API bool khs_host_input(khs_host *host, uint64_t tick, uint32_t target, const void *data, uint32_t size);

/* How many inputs there are, and forgets those from number `count` on: who goes back to a snapshot that was
 * made before they came goes on without them. */
KHS_API uint64_t khs_host_inputs(const khs_host *host);
KHS_API void khs_host_cut_inputs(khs_host *host, uint64_t count);

/* Lets a policy come into force at the beginning of major frame `frame`, from 1 on. False if
 * that frame has begun or has a policy already, or there is no such policy. */
KHS_API bool khs_host_policy_at(khs_host *host, uint64_t frame, uint32_t policy);

/* Takes the system to tick 0, again if it has already run; inputs and swaps are kept. */
KHS_API uint32_t khs_host_boot(khs_host *host); /* khs_status */

/* ------------------------------------------------------------ devices */

/* Whose registers or ports they are, and what is behind them. */
enum khs_host_model {
    KHS_HOST_OUTSIDE = 0, /* the caller, see khs_host_device_calls */
    KHS_HOST_IMX_UART,
    KHS_HOST_16550,
    KHS_HOST_IMX_EPIT,
    KHS_HOST_PIT,
    KHS_HOST_IMX_GPIO,
    KHS_HOST_IMX_WDOG,
    KHS_HOST_IB700,
    KHS_HOST_FLEXCAN,
    KHS_HOST_SJA1000,
};

/* What a device, or the line behind it, may suffer: the health error device-fault of its owner. */
enum khs_host_fault {
    KHS_HOST_LINE_LOST = 0, /* its other end is gone */
    KHS_HOST_LINE_FULL,     /* its other end takes no more */
    KHS_HOST_OVERRUN,       /* something came in and found no room */
    KHS_HOST_WATCHDOG,      /* it was not served in time */
    KHS_HOST_BUS_OFF,       /* too many errors on its bus */
    KHS_HOST_FAULTS,
};

typedef struct khs_host_device {
    uint32_t partition;
    uint32_t model; /* enum khs_host_model */
    uint32_t is_io; /* x86 ports, not memory */
    uint32_t irq;   /* the first of the partition's virtual interrupts that are its; KHS_NONE if it has none */
    uint64_t address;
    uint64_t size;
    uint32_t place; /* among the partition's devices, from 0 */
    uint32_t more;  /* interrupts that follow the first */
    char name[28];  /* ends with a zero */
} khs_host_device;

/* What a model outside tells with each call: its lines, a bit of each interrupt, and when it wants to be called next, in
 * absolute ticks, UINT64_MAX for never. `faults`: a bit of each that happened, taken away. */
typedef struct khs_host_device_said {
    uint64_t next;
    uint64_t lines;
    uint64_t faults;
} khs_host_device_said;

/* Called in the thread that runs the host, with the number of the device and the tick. They are
 * to keep `said` up to date and must not call the host, but for khs_host_device_put and
 * khs_host_stop. An access lies within the device and is aligned to its size: 1, 2, 4 bytes; wider
 * ones come in parts. */
typedef struct khs_host_device_calls {
    void (*reset)(uint32_t device);
    uint32_t (*read)(uint32_t device, uint32_t offset, uint32_t size, uint64_t tick);
    void (*write)(uint32_t device, uint32_t offset, uint32_t size, uint32_t value, uint64_t tick);
    void (*advance)(uint32_t device, uint64_t tick); /* said.next has come */
    void (*input)(uint32_t device, const void *data, uint32_t size, uint64_t tick);
    khs_host_device_said *said; /* kept by the caller as long as the host lives */
} khs_host_device_calls;

/* Gives a partition a device, before the system is booted. The number of the device, counted from
 * 0; KHS_NONE if that cannot be. */
KHS_API uint32_t khs_host_device_add(khs_host *host, const khs_host_device *device, const khs_host_device_calls *calls);
/* Joins a CAN controller to the bus of another, before the system is booted; each begins with one of
 * its own. What is sent on a bus goes to the outside through its first device. False if that cannot
 * be. */
KHS_API bool khs_host_device_join(khs_host *host, uint32_t device, uint32_t other);
/* The target of outside inputs to it: devices follow the inputs of config.bin. */
KHS_API uint32_t khs_host_device_target(const khs_host *host, uint32_t device);

/* Takes out up to `size` bytes that the device sent to the outside. A run comes back with
 * KHS_HOST_YIELDED if there are many, and again until they are taken. */
KHS_API uint64_t khs_host_device_output(khs_host *host, uint32_t device, void *buffer, uint64_t size);
/* The ticks of the first `count` records of what khs_host_device_output would take out; 0 for devices
 * that send bytes. */
KHS_API uint64_t khs_host_device_ticks(const khs_host *host, uint32_t device, uint64_t *ticks, uint64_t count);
/* For models outside: bytes to the outside. False if there is no room. */
KHS_API bool khs_host_device_put(khs_host *host, uint32_t device, const void *data, uint64_t size);

typedef struct khs_host_device_counts {
    uint64_t accesses;
    uint64_t received; /* bytes from outside, that the device took */
    uint64_t waiting;  /* and that it did not take so far */
    uint64_t sent;
    uint64_t overruns; /* characters lost, as the driver did not fetch them in time */
    uint64_t faults;   /* told to the health monitor */
} khs_host_device_counts;
KHS_API bool khs_host_device_count(const khs_host *host, uint32_t device, khs_host_device_counts *counts);

/* ------------------------------------------------------------ regions */

/* Regions as targets of outside inputs: this bit and their number. The bytes are the offset to write
 * at, 8 bytes little-endian, and what to write there. */
#define KHS_HOST_REGION 0x80000000u
/* KHS_NONE if there is no such region, or it holds code, which never changes. */
KHS_API uint32_t khs_host_region_target(khs_host *host, uint32_t region);
/* False if it does not lie in a region. */
KHS_API bool khs_host_region_read(const khs_host *host, uint32_t region, uint64_t offset, void *buffer, uint64_t size);

/* ------------------------------------------------------------ running */

enum khs_host_end {
    KHS_HOST_REACHED = 0, /* the frames or ticks asked for have passed */
    KHS_HOST_DRAIN,       /* the event ring is full */
    KHS_HOST_STOPPED,     /* the module stopped for good */
    KHS_HOST_INTERRUPTED, /* khs_host_stop was called; call again to go on */
    KHS_HOST_YIELDED,     /* ran for a while of host time; call again to go on */
};

/* Runs until `frames` major frames are complete or tick `until`, whichever is first.
 * Comes back now and then (KHS_HOST_YIELDED) so that the caller can look after signals;
 * when it does so has no influence on what the guests do. */
KHS_API uint32_t khs_host_run(khs_host *host, uint64_t frames, uint64_t until);

/* Makes khs_host_run return at the next tick boundary it reaches. From any thread or
 * signal handler. */
KHS_API void khs_host_stop(khs_host *host);

/* Unread events, as drained by khs_host_drain: whole records, and beside them the
 * partition parts of the visible ones sorted by partition: those of partition p are
 * the bytes parts[at[p]] to parts[at[p + 1]]. Valid until the next call on the host. */
typedef struct khs_host_events {
    const uint8_t *records;
    uint64_t size;
    const uint8_t *parts;
    const uint64_t *at; /* partitions + 1 */
    uint64_t granted;   /* verdicts among the records */
    uint64_t denied;
    uint32_t stop_cause; /* enum khs_stop_cause, if the module stopped */
    uint32_t swaps;      /* policies that came into force or were refused */
    /* Again the records that are told one by one: denials, hypercalls that the kernel refused
     * because the program is unsound, faults, health, policies, stops, consoles. */
    const uint8_t *notable;
    uint64_t notable_size;
    uint64_t count; /* records */
} khs_host_events;

/* The same for records that came another way: 8-byte aligned and kept by the caller. False
 * if they are not whole records. */
KHS_API bool khs_host_split(khs_host *host, const void *records, uint64_t size, khs_host_events *events);

/* Takes unread events out of the ring; false if there are none. Call until false. */
KHS_API bool khs_host_drain(khs_host *host, khs_host_events *events);

/* ------------------------------------------------------------ looking */

typedef struct khs_host_status {
    uint64_t tick;
    uint64_t frames; /* completed */
    uint32_t schedule;
    uint32_t stopped;
    uint32_t partitions;
    uint32_t abandoned; /* engines lost to aborts */
} khs_host_status;

KHS_API void khs_host_status_get(const khs_host *host, khs_host_status *status);
KHS_API bool khs_host_view(const khs_host *host, uint32_t partition, khs_partition_view *view);

/* Registers in the order of gdb's core register set: ARM r0-r15 cpsr; x86 eax ecx edx ebx
 * esp ebp esi edi eip eflags; x64 rax rbx rcx rdx rsi rdi rbp rsp r8-r15 rip eflags.
 * Returns their number, 0 if the partition has no CPU. */
#define KHS_HOST_REGISTERS 18u
KHS_API uint32_t khs_host_registers(khs_host *host, uint32_t partition, uint64_t *registers);

/* Copies memory of a partition, by its addresses, whatever its rights. Returns the bytes
 * copied, up to the first one that is not mapped. */
KHS_API uint64_t khs_host_read(khs_host *host, uint32_t partition, uint64_t address,
                               void *buffer, uint64_t size);

/* ------------------------------------------------------------ debugging */

/* One register, by Unicorn's number for it (the x87 control word is one, too), in the width that
 * Unicorn gives it; `value` has KHS_HOST_REGISTER_BYTES. False if the partition has no CPU or the
 * CPU no such register. What is written is an input that nobody recorded: that is the caller's. */
#define KHS_HOST_REGISTER_BYTES 16u
KHS_API bool khs_host_register(khs_host *host, uint32_t partition, int number, void *value);
KHS_API bool khs_host_set_register(khs_host *host, uint32_t partition, int number, const void *value);
/* Changes memory of a partition, up to the first byte that no partition may write. Returns the
 * bytes written; without `data` those that would be. */
KHS_API uint64_t khs_host_write(khs_host *host, uint32_t partition, uint64_t address, const void *data,
                                uint64_t size);

/* Restarts or stops a partition between two ticks, as the health monitor does; `mode` is one of ARINC 653. False
 * if it cannot be: NORMAL, which a partition enters itself; a warm start before it was NORMAL. Drain events
 * before. An input that nobody recorded, too. */
KHS_API bool khs_host_set_mode(khs_host *host, uint32_t partition, uint32_t mode);

#define KHS_HOST_NEVER UINT64_MAX
#define KHS_HOST_ANY 0xfffffffeu /* any partition */

enum khs_host_access { KHS_HOST_WRITES = 1, KHS_HOST_READS = 2 };

typedef struct khs_host_watch {
    uint64_t address;
    uint64_t size;
    uint32_t access; /* bits of enum khs_host_access */
    uint32_t pad;
} khs_host_watch;

/* Events to stop behind: of a type; of a partition or of KHS_HOST_ANY; with a code or with any,
 * KHS_HOST_ANY. Of verdicts those that denied. */
typedef struct khs_host_noted {
    uint32_t type; /* enum khs_event_type */
    uint32_t partition;
    uint32_t code;
    uint32_t pad;
} khs_host_noted;

/* Where khs_host_debug stops, instead of what was set before. False if there is no such partition
 * or no memory; breakpoints are before the instructions at these ascending addresses. */
KHS_API bool khs_host_set_breaks(khs_host *host, uint32_t partition, const uint64_t *addresses, uint32_t count);
KHS_API bool khs_host_set_watches(khs_host *host, uint32_t partition, const khs_host_watch *watches, uint32_t count);
/* Hypercalls as they are made, and as they come back: a bit for each number, the last bit for all
 * numbers from 31 on. */
KHS_API bool khs_host_set_calls(khs_host *host, uint32_t partition, uint32_t entries, uint32_t results);
KHS_API bool khs_host_set_noted(khs_host *host, const khs_host_noted *noted, uint32_t count);

enum khs_host_cause {
    KHS_CAUSE_REACHED = 1, /* the tick that was asked for */
    KHS_CAUSE_STEP,        /* the instruction, or a fault instead */
    KHS_CAUSE_BREAKPOINT, /* before the instruction */
    KHS_CAUSE_WATCHPOINT, /* behind the instruction: `number` of the watch, `address` touched */
    KHS_CAUSE_CALL,       /* `number` was called, nothing of it is done */
    KHS_CAUSE_HELD,       /* likewise, only as the move says so */
    KHS_CAUSE_RETURN,     /* `number` came back, its caller runs next */
    KHS_CAUSE_EVENT,
    KHS_CAUSE_INTERRUPT, /* khs_host_stop */
    KHS_CAUSE_END,       /* the frames asked for, or the module stopped */
};

enum khs_host_move {
    KHS_HOST_PASSING = 1, /* past all stops */
    KHS_HOST_HOLDING = 2, /* stop at every hypercall that is made */
};

/* Where to. Stops at the point of departure are not met again. */
typedef struct khs_host_goal {
    uint64_t frames;
    uint64_t until;
    uint64_t from; /* the point of departure: after so many ticks, */
    uint32_t settled; /* 0: the hypercall made in the last of them is not dealt with */
    uint32_t steps;   /* partition to execute one instruction, KHS_HOST_ANY or KHS_NONE */
    uint32_t move;    /* bits of enum khs_host_move */
    uint32_t pad;
} khs_host_goal;

typedef struct khs_host_halt {
    uint64_t tick; /* where it stands, as in khs_host_goal */
    uint64_t address;
    uint64_t found; /* offset among the unread events of the first that was to stop behind;
                       KHS_HOST_NEVER. Told once, perhaps before the stop. */
    uint32_t settled;
    uint32_t cause; /* enum khs_host_cause; 0: call again with the same goal */
    uint32_t partition; /* whose doing it was, or else whose window it is; KHS_NONE in a gap */
    uint32_t number;
} khs_host_halt;

/* Runs like khs_host_run, up to the first stop. Cause 0: the ring is full, or a while of host time
 * passed. Where it stands afterwards is the same whatever stops there were on the way: all that is due is
 * done and an interrupt that waits for the guest to run is delivered. A fault takes the tick
 * that is charged for it. */
KHS_API void khs_host_debug(khs_host *host, const khs_host_goal *goal, khs_host_halt *halt);

/* Messages in the queue of a channel's reader, who are numbered from 0; 0 if it has none. */
KHS_API uint32_t khs_host_queued(const khs_host *host, uint32_t channel, uint32_t reader);

/* Tick behind the last instruction that the partition, or any, executed; 0 if none. */
KHS_API uint64_t khs_host_last(const khs_host *host, uint32_t partition);
/* The partition whose window or gap ends at `end`; KHS_NONE in a gap. */
KHS_API uint32_t khs_host_window(const khs_host *host, uint64_t *end, uint64_t *frame_end);
/* The tick at which the current major frame began. */
KHS_API uint64_t khs_host_frame_began(const khs_host *host);

/* Keeps the state between two ticks, to go on from there again; events must be drained and what a
 * guest came back for dealt with. NULL if there is no memory. */
typedef struct khs_snapshot khs_snapshot;
KHS_API khs_snapshot *khs_host_snapshot(khs_host *host);
/* False if an engine cannot be opened again; then its partition faults. */
KHS_API bool khs_host_restore(khs_host *host, khs_snapshot *snapshot);
/* Every snapshot before its host is closed. */
KHS_API void khs_host_forget(khs_host *host, khs_snapshot *snapshot);
/* Bytes of all snapshots. */
KHS_API uint64_t khs_host_kept(const khs_host *host);

/* The pages of a snapshot that are not as at the beginning, ascending: `area` is a region of
 * config.bin, or the kernel's state behind the last. False if there are no more. */
typedef struct khs_host_kept_page {
    uint32_t area;
    uint32_t number;
    const void *data;
    uint64_t size;
} khs_host_kept_page;
KHS_API bool khs_host_page(const khs_host *host, const khs_snapshot *snapshot, uint32_t index,
                           khs_host_kept_page *page);

/* ------------------------------------------------------------ isolation */

/* From here on this process can compute, use memory and write to `fd`; every other system
 * call fails with EPERM. False if this machine has no seccomp filters. */
KHS_API bool khs_host_confine(int fd);

/* For a forked child: confines itself, boots, runs like khs_host_run to the end, and writes what happens to
 * `fd` as packets {u32 kind, u32 size, bytes}; then leaves the process by _exit. SIGINT stops the run, and
 * the end of the thread of process `parent` that forked it kills it. */
KHS_API void khs_host_serve(khs_host *host, uint64_t frames, uint64_t until, int fd, int parent);
/* No packet has more bytes. */
KHS_API uint64_t khs_host_packet_most(const khs_host *host);

enum khs_host_packet {
    KHS_HOST_PACKET_EVENTS = 1,   /* event records */
    KHS_HOST_PACKET_END = 2,      /* khs_host_ending, then a khs_partition_view per partition */
    KHS_HOST_PACKET_PROGRESS = 3, /* u64: major frames completed, now and then */
};

typedef struct khs_host_ending {
    uint32_t boot_status; /* khs_status */
    uint32_t end;         /* enum khs_host_end */
    khs_host_status status;
} khs_host_ending;

/* Exit status of the child if this machine has no seccomp filters. */
#define KHS_HOST_NOT_CONFINED 70

/* ------------------------------------------------------------ checks */

/* Offset of the first instruction that the CPU engine cannot translate, at whatever byte it
 * begins; or `size`. Hosts stop before it. */
KHS_API uint64_t khs_host_scan(uint32_t arch, const void *code, uint64_t size);
/* khs_config_check, for Python. */
KHS_API uint32_t khs_host_check_config(const void *config, uint64_t size, uint64_t *where);

/* ------------------------------------------------------------ measuring */

/* Baselines for ratios in one run, on a partition's image and from its entry point, with
 * no kernel: hypercalls return 0. Ends after `traps` hypercalls or a fault. */
typedef struct khs_host_timing {
    uint64_t ns;
    uint64_t ticks; /* 0 when not counted */
    uint64_t traps; /* hypercalls made */
    uint64_t windows;
} khs_host_timing;

/* Unicorn as it comes, with no hook but the one for hypercalls; at each three registers are
 * read and one is written. `same_tlb`: with the TLB that partitions run with, which is
 * faster. */
KHS_API bool khs_host_bench_raw(khs_host *host, uint32_t partition, uint64_t traps, bool same_tlb,
                                khs_host_timing *timing);
/* The same image under exact windows of `window` ticks. */
KHS_API bool khs_host_bench_windows(khs_host *host, uint32_t partition, uint64_t traps,
                                    uint64_t window, khs_host_timing *timing);

#endif
