/* How the rest of the host sees devices: where their accesses are, and what they want of a run. Part of
 * internal.h. */
#ifndef KHS_HOST_ACCESS_H
#define KHS_HOST_ACCESS_H

#define KHS_SITES 128u
#define KHS_SITE_SLOTS 256u /* by the low bits of their addresses: half of them stay free */
#define KHS_SEEN 256u

/* access.c: an instruction that accesses a device, or the one behind it. */
typedef struct khs_site {
    uint64_t pc;
    uint64_t block;    /* where the block began it was last found in */
    uint64_t distance; /* in ticks, from there */
    bool used;         /* the slot is not free */
    bool accesses;
} khs_site;

/* Sites that follow one another, with one hook on `main` for all of them. Unicorn looks through the hooks
 * each time, and calls a single one directly. */
typedef struct khs_site_run {
    uint64_t first, last;
    uc_hook hook;
} khs_site_run;

typedef struct khs_sites {
    khs_site slots[KHS_SITE_SLOTS];
    khs_site_run runs[KHS_SITES];
    uint32_t count, run_count;
} khs_sites;

/* An instruction that the twin made accesses with. */
typedef struct khs_seen {
    uint64_t pc;
    uint32_t times;
} khs_seen;

/* An instruction is about to access a device: how many ticks are left behind it. False if the
 * access must not be made now. One that is not `sound` is made by the twin. */
bool khs_access_begin(khs_cpu *cpu, uc_engine *uc, bool sound, uint64_t *behind);
/* Only `allowed` of the ticks behind it are to follow, fewer than there are. */
void khs_access_cut(khs_cpu *cpu, uc_engine *uc, uint64_t behind, uint64_t allowed);
/* The main engine stopped at `pc`, at KHS_AT_DEVICE. */
void khs_access_stopped(khs_cpu *cpu, uint64_t pc);
/* The twin carried out the instruction at `pc` for that reason. */
void khs_access_done(khs_cpu *cpu, uint64_t pc);
/* The same for a port, where Unicorn says which instruction it is: the main engine runs none but sites. */
bool khs_access_begin_port(khs_cpu *cpu, uc_engine *uc, uint64_t *behind);
/* The main engine gets the hooks of a site; false if there is no room for another. */
bool khs_site_add(khs_cpu *cpu, uint64_t pc, uint32_t size, bool is_port);
bool khs_site_is(khs_cpu *cpu, uint64_t pc);
void khs_sites_forget(khs_cpu *cpu);

typedef struct khs_device khs_device;

/* Maps the registers of the partition's devices. */
bool khs_devices_map(khs_cpu *cpu, uc_engine *uc);
bool khs_devices_hold(const khs_host *host, uint32_t partition, uint64_t address);
bool khs_devices_have_ports(const khs_host *host, uint32_t partition);
/* NULL if the partition has none there. */
khs_device *khs_device_at_port(khs_cpu *cpu, uint64_t port, uint32_t size);
/* Instructions; false if the partition has no device there. */
bool khs_device_in(khs_cpu *cpu, uc_engine *uc, uint32_t port, uint32_t size, uint32_t *value);
bool khs_device_out(khs_cpu *cpu, uc_engine *uc, uint32_t port, uint32_t size, uint32_t value);
/* To the beginning; false if there is no memory. */
bool khs_devices_reset(khs_host *host);
void khs_devices_close(khs_host *host);
/* All of them that changes, for snapshots. */
const void *khs_devices_block(const khs_host *host, uint64_t *size);
/* What they have sent to the outside goes nowhere. */
void khs_devices_discard(khs_host *host);
/* With nothing left to be dealt with at this tick: raises the interrupts of those devices whose
 * owner's window it is. No further than the tick that comes back may be run without looking again. */
uint64_t khs_devices_look(khs_host *host, uint64_t limit);
/* A window or a run has come to its end: makes happen what nobody had to look at before. */
void khs_devices_follow(khs_host *host);
/* The partition's handler returned, or it starts: what its lines say counts again. */
void khs_devices_return(khs_host *host, uint32_t partition);
void khs_devices_start(khs_host *host, uint32_t partition);

#endif
