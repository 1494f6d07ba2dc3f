/* Snapshots of a system between two ticks, to go on from again. Memory is kept as pages: those that
 * are as in the snapshot before are shared with it, and of a region only those are looked at that
 * were ever touched, as this process' page table tells. The kernel's state block is pages, too.
 * Engines keep the code they translated: code never changes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

typedef struct khs_page {
    uint32_t uses;
    uint8_t bytes[KHS_PAGE];
} khs_page;

/* A uc_context is plain bytes as long as it holds no memory; one of the same engine's. */
typedef struct khs_context {
    uint32_t uses;
    _Alignas(16) uint8_t context[];
} khs_context;

/* Areas are the regions, and behind them the state blocks of the kernel and of the devices. */
typedef struct khs_kept {
    uint32_t area;
    uint32_t number;
    khs_page *page;
} khs_kept;

typedef struct khs_kept_cpu {
    bool exists;
    bool runs; /* has an engine */
    uint64_t pc;
    uint64_t interrupted_pc;
    uint64_t flags;
    khs_latch refused;
    khs_latch interrupted_refused;
    uint64_t called;
    uint64_t last;
    khs_context *context;
    khs_context *interrupted; /* NULL if there never was one */
} khs_kept_cpu;

struct khs_snapshot {
    uint32_t count;
    uint32_t room;
    khs_kept *pages; /* ascending */
    void *core;
    khs_kept_cpu *cpus;
    uint32_t abandoned;
    uint64_t fault_at;
    uint64_t written;
};

/* ------------------------------------------------------------ areas */

#define ENTRIES 4096u /* of the page table, read at once */

typedef struct khs_area {
    uint8_t *base;
    uint64_t size;
    const uint8_t *golden; /* what it begins with */
    uint64_t golden_size;
} khs_area;

static khs_area area_of(const khs_host *host, uint32_t number)
{
    if (number == host->memory.count)
        return (khs_area){.base = host->state, .size = khs_state_size(host->config)};
    if (number > host->memory.count) {
        khs_area devices = {0};
        devices.base = (uint8_t *)khs_devices_block(host, &devices.size);
        return devices;
    }
    const khs_region_memory *region = &host->memory.regions[number];
    if (!region->writable)
        return (khs_area){.size = 0};
    return (khs_area){.base = region->base, .size = region->size,
                      .golden = host->memory.view + region->golden, .golden_size = region->golden_size};
}

static uint32_t length_of(const khs_area *area, uint64_t page)
{
    uint64_t left = area->size - page * KHS_PAGE;
    return left < KHS_PAGE ? (uint32_t)left : KHS_PAGE;
}

/* Whether the page is as at the beginning. */
static bool is_golden(const khs_area *area, uint64_t page)
{
    static const uint8_t zeros[KHS_PAGE];
    uint64_t at = page * KHS_PAGE;
    const uint8_t *golden = at < area->golden_size ? area->golden + at : zeros;
    return memcmp(area->base + at, golden, length_of(area, page)) == 0;
}

/* Goes over the pages of an area that may not be as at the beginning. */
typedef struct khs_walk {
    const khs_host *host;
    khs_area area;
    uint64_t next;  /* page to look at */
    uint64_t begin; /* of the entries */
    uint64_t end;
    uint64_t entries[ENTRIES];
} khs_walk;

static void begin_walk(khs_walk *walk, const khs_host *host, uint32_t area)
{
    walk->host = host;
    walk->area = area_of(host, area);
    walk->next = walk->begin = walk->end = 0;
}

/* See pagemap.rst of Linux. Where there is no such file every page counts. */
#define PRESENT (3ull << 62) /* or swapped out */
#define OF_FILE (1ull << 61)

static void read_entries(khs_walk *walk, uint64_t pages)
{
    uint64_t count = pages - walk->next < ENTRIES ? pages - walk->next : ENTRIES;
    uint64_t at = (uint64_t)(uintptr_t)walk->area.base / KHS_PAGE + walk->next;
    ssize_t size = (ssize_t)(count * sizeof *walk->entries);
    int table = walk->host->memory.table;
    bool is_block = walk->area.golden == NULL; /* not in pages of its own */
    if (is_block || table < 0 || pread(table, walk->entries, (size_t)size, (off_t)(at * sizeof *walk->entries)) != size)
        memset(walk->entries, 0x80, (size_t)size);
    walk->begin = walk->next;
    walk->end = walk->next + count;
}

/* False when there are no more. */
static bool walk_on(khs_walk *walk, uint64_t *page)
{
    uint64_t pages = (walk->area.size + KHS_PAGE - 1) / KHS_PAGE;
    for (; walk->next < pages; walk->next++) {
        if (walk->next == walk->end)
            read_entries(walk, pages);
        uint64_t entry = walk->entries[walk->next - walk->begin];
        if ((entry & PRESENT) != 0 && (entry & OF_FILE) == 0) {
            *page = walk->next++;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------ keeping */

static void release_page(khs_host *host, khs_page *page)
{
    if (page == NULL || --page->uses > 0)
        return;
    host->kept_bytes -= sizeof *page;
    free(page);
}

static void release_context(khs_host *host, khs_context *kept)
{
    if (kept == NULL || --kept->uses > 0)
        return;
    host->kept_bytes -= host->context_size;
    free(kept);
}

static khs_page *keep_page(khs_host *host, const uint8_t *from, uint32_t size)
{
    khs_page *page = malloc(sizeof *page);
    if (page == NULL)
        return NULL;
    host->kept_bytes += sizeof *page;
    page->uses = 1;
    memcpy(page->bytes, from, size);
    return page;
}

static bool add_page(khs_host *host, khs_snapshot *snapshot, khs_kept kept)
{
    if (snapshot->count == snapshot->room) {
        uint32_t room = snapshot->room ? snapshot->room * 2 : 256;
        khs_kept *pages = realloc(snapshot->pages, room * sizeof *pages);
        if (pages == NULL) {
            release_page(host, kept.page);
            return false;
        }
        host->kept_bytes += (room - snapshot->room) * sizeof *pages;
        snapshot->pages = pages;
        snapshot->room = room;
    }
    snapshot->pages[snapshot->count++] = kept;
    return true;
}

/* The page in an older snapshot, whose pages come in the same order. */
static khs_page *page_in(const khs_snapshot *older, uint32_t *at, uint32_t area, uint64_t number)
{
    if (older == NULL)
        return NULL;
    while (*at < older->count && (older->pages[*at].area < area ||
                                  (older->pages[*at].area == area && older->pages[*at].number < number)))
        ++*at;
    bool found = *at < older->count && older->pages[*at].area == area && older->pages[*at].number == number;
    return found ? older->pages[*at].page : NULL;
}

static bool keep_area(khs_host *host, khs_snapshot *snapshot, uint32_t area, uint32_t *at)
{
    khs_walk walk;
    uint64_t number;
    begin_walk(&walk, host, area);
    while (walk_on(&walk, &number)) {
        const uint8_t *from = walk.area.base + number * KHS_PAGE;
        uint32_t size = length_of(&walk.area, number);
        khs_page *page = page_in(host->recent, at, area, number);
        if (page != NULL && memcmp(page->bytes, from, size) == 0)
            page->uses++;
        else if (walk.area.golden != NULL && is_golden(&walk.area, number))
            continue;
        else
            page = keep_page(host, from, size);
        if (page == NULL || !add_page(host, snapshot, (khs_kept){area, (uint32_t)number, page}))
            return false;
    }
    return true;
}

/* `older` if it is the same. */
static bool keep_context(khs_host *host, const uc_context *from, khs_context *older, khs_context **kept)
{
    if (older != NULL && memcmp(older->context, from, host->context_size) == 0) {
        older->uses++;
        *kept = older;
        return true;
    }
    khs_context *made = malloc(sizeof *made + host->context_size);
    if (made == NULL)
        return false;
    host->kept_bytes += host->context_size;
    made->uses = 1;
    memcpy(made->context, from, host->context_size);
    *kept = made;
    return true;
}

static bool keep_cpu(khs_host *host, khs_cpu *cpu, const khs_kept_cpu *older, khs_kept_cpu *kept)
{
    if (cpu == NULL)
        return true;
    *kept = (khs_kept_cpu){.exists = true, .runs = cpu->main != NULL, .pc = cpu->pc,
                           .interrupted_pc = cpu->interrupted_pc, .flags = cpu->flags, .refused = cpu->refused,
                           .interrupted_refused = cpu->interrupted_refused, .called = cpu->called, .last = cpu->last};
    if (!kept->runs || cpu->transfer == NULL)
        return true;
    host->context_size = uc_context_size(cpu->main);
    uc_context_save(cpu->main, cpu->transfer);
    return keep_context(host, cpu->transfer, older != NULL ? older->context : NULL, &kept->context) &&
           (cpu->interrupted == NULL || keep_context(host, cpu->interrupted,
                                                     older != NULL ? older->interrupted : NULL, &kept->interrupted));
}

static bool keep(khs_host *host, khs_snapshot *snapshot)
{
    uint32_t partitions = host->config->partitions.count, at = 0;
    snapshot->core = malloc(khs_core_size());
    snapshot->cpus = calloc(partitions, sizeof *snapshot->cpus);
    if (snapshot->core == NULL || snapshot->cpus == NULL)
        return false;
    host->kept_bytes += sizeof *snapshot + partitions * sizeof *snapshot->cpus;
    memcpy(snapshot->core, host->core, khs_core_size());
    snapshot->abandoned = host->abandoned;
    snapshot->fault_at = host->debug.fault_at;
    snapshot->written = host->written;
    for (uint32_t area = 0; area <= host->memory.count + 1u; area++)
        if (!keep_area(host, snapshot, area, &at))
            return false;
    for (uint32_t i = 0; i < partitions; i++)
        if (!keep_cpu(host, host->cpus[i], host->recent != NULL ? &host->recent->cpus[i] : NULL, &snapshot->cpus[i]))
            return false;
    return true;
}

khs_snapshot *khs_host_snapshot(khs_host *host)
{
    const uint8_t *records;
    if (!host->booted || !khs_memory_view(&host->memory))
        return NULL;
    if (host->taken)
        khs_drained(host->core);
    host->taken = false;
    if (khs_events(host->core, &records) > 0)
        return NULL;
    khs_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    if (!keep(host, snapshot)) {
        khs_host_forget(host, snapshot);
        return NULL;
    }
    host->recent = snapshot;
    return snapshot;
}

void khs_host_forget(khs_host *host, khs_snapshot *snapshot)
{
    uint32_t partitions = host->config->partitions.count;
    if (host->recent == snapshot)
        host->recent = NULL;
    for (uint32_t i = 0; i < snapshot->count; i++)
        release_page(host, snapshot->pages[i].page);
    for (uint32_t i = 0; snapshot->cpus != NULL && i < partitions; i++) {
        release_context(host, snapshot->cpus[i].context);
        release_context(host, snapshot->cpus[i].interrupted);
    }
    if (snapshot->core != NULL && snapshot->cpus != NULL)
        host->kept_bytes -= sizeof *snapshot + partitions * sizeof *snapshot->cpus;
    host->kept_bytes -= snapshot->room * sizeof *snapshot->pages;
    free(snapshot->pages);
    free(snapshot->core);
    free(snapshot->cpus);
    free(snapshot);
}

uint64_t khs_host_kept(const khs_host *host)
{
    return host->kept_bytes;
}

bool khs_host_page(const khs_host *host, const khs_snapshot *snapshot, uint32_t index, khs_host_kept_page *page)
{
    if (index >= snapshot->count)
        return false;
    const khs_kept *kept = &snapshot->pages[index];
    khs_area area = area_of(host, kept->area);
    *page = (khs_host_kept_page){.area = kept->area, .number = kept->number, .data = kept->page->bytes,
                                 .size = length_of(&area, kept->number)};
    return true;
}

/* ------------------------------------------------------------ restoring */

static void put_page(const khs_area *area, const khs_kept *kept)
{
    uint8_t *to = area->base + (uint64_t)kept->number * KHS_PAGE;
    uint32_t size = length_of(area, kept->number);
    if (memcmp(to, kept->page->bytes, size) != 0)
        memcpy(to, kept->page->bytes, size);
}

/* Pages touched since that the snapshot does not have are as at the beginning again. */
static void put_area(khs_host *host, const khs_snapshot *snapshot, uint32_t number, uint32_t *at)
{
    khs_walk walk;
    uint64_t page;
    begin_walk(&walk, host, number);
    while (walk_on(&walk, &page)) {
        for (; *at < snapshot->count && snapshot->pages[*at].area == number && snapshot->pages[*at].number < page; ++*at)
            put_page(&walk.area, &snapshot->pages[*at]);
        if (*at < snapshot->count && snapshot->pages[*at].area == number && snapshot->pages[*at].number == page)
            continue; /* next time round */
        if (!is_golden(&walk.area, page))
            madvise(walk.area.base + page * KHS_PAGE, KHS_PAGE, MADV_DONTNEED);
    }
    for (; *at < snapshot->count && snapshot->pages[*at].area == number; ++*at)
        put_page(&walk.area, &snapshot->pages[*at]);
}

/* Into an engine that never translated what it must not run. */
static bool put_cpu(khs_host *host, khs_cpu *cpu, const khs_kept_cpu *kept)
{
    if (cpu == NULL)
        return true;
    if (cpu->tainted || !kept->runs)
        khs_cpu_close_engines(cpu);
    bool fine = !kept->runs || khs_cpu_open(cpu);
    if (fine && kept->context != NULL)
        fine = uc_context_restore(cpu->main, (uc_context *)kept->context->context) == UC_ERR_OK;
    if (fine && kept->interrupted != NULL && cpu->interrupted == NULL)
        fine = uc_context_alloc(cpu->main, &cpu->interrupted) == UC_ERR_OK;
    if (fine && kept->interrupted != NULL)
        memcpy(cpu->interrupted, kept->interrupted->context, host->context_size);
    cpu->pc = kept->pc;
    cpu->interrupted_pc = kept->interrupted_pc;
    cpu->flags = kept->flags;
    cpu->refused = kept->refused;
    cpu->interrupted_refused = kept->interrupted_refused;
    cpu->called = kept->called;
    cpu->last = kept->last;
    return fine;
}

bool khs_host_restore(khs_host *host, khs_snapshot *snapshot)
{
    uint32_t at = 0;
    bool fine = true;
    memcpy(host->core, snapshot->core, khs_core_size());
    for (uint32_t area = 0; area <= host->memory.count + 1u; area++)
        put_area(host, snapshot, area, &at);
    host->abandoned = snapshot->abandoned;
    for (uint32_t i = 0; i < host->config->partitions.count; i++)
        fine = put_cpu(host, host->cpus[i], &snapshot->cpus[i]) && fine;
    host->taken = host->is_next_known = false;
    host->debug.fault_at = snapshot->fault_at;
    host->written = snapshot->written;
    host->debug.halt.cause = 0;
    host->recent = snapshot;
    return fine;
}
