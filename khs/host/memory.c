/* Region memory. What a region starts with lies in one sealed memfd that each region
 * maps privately, the rest of it is anonymous; so a restart is one madvise that drops
 * the pages written since, and pages nobody touched cost nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static const void *table(const khs_config *config, const khs_table *t)
{
    return (const uint8_t *)config + t->offset;
}

static bool refuse(khs_host_error *error, uint32_t failure, uint32_t region, const char *why)
{
    error->failure = failure;
    error->where = region;
    snprintf(error->text, sizeof error->text, "region %u: %s", region, why);
    return false;
}

static void collect_rights(khs_memory *memory, const khs_config *config)
{
    const khs_cfg_map *maps = table(config, &config->maps);
    for (uint32_t i = 0; i < config->maps.count; i++) {
        if (maps[i].region >= memory->count)
            continue; /* an unused record */
        memory->regions[maps[i].region].writable |= (maps[i].rights & KHS_W) != 0;
        memory->regions[maps[i].region].executable |= (maps[i].rights & KHS_X) != 0;
    }
}

static bool write_whole(int fd, const uint8_t *from, uint64_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n, offset += (uint64_t)n, size -= (uint64_t)n;
    }
    return true;
}

static uint64_t pages(uint64_t bytes)
{
    return (bytes + KHS_PAGE - 1) & ~(uint64_t)(KHS_PAGE - 1);
}

/* Reserves the region and lays its initial content at its start. */
static bool map_region(khs_memory *memory, uint32_t index, const khs_cfg_region *cfg, uint64_t offset)
{
    khs_region_memory *region = &memory->regions[index];
    int rights = region->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *base = mmap(NULL, cfg->size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    region->base = base;
    region->size = cfg->size;
    region->golden = offset;
    region->golden_size = pages(cfg->file_size);
    if (cfg->file_size == 0)
        return true;
    return mmap(base, pages(cfg->file_size), rights, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                memory->golden, (off_t)offset) != MAP_FAILED;
}

/* Room for what is found out about x86 code. */
static bool map_lengths(khs_region_memory *region)
{
    void *lengths = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (lengths == MAP_FAILED)
        return false;
    region->lengths = lengths;
    return true;
}

static bool open_region(khs_memory *memory, const khs_config *config, uint32_t index,
                        const khs_host_bytes *image, uint64_t *offset, khs_host_error *error)
{
    const khs_cfg_region *cfg = (const khs_cfg_region *)table(config, &config->regions) + index;
    khs_region_memory *region = &memory->regions[index];
    if (cfg->file_offset > image->size || cfg->file_size > image->size - cfg->file_offset)
        return refuse(error, KHS_HOST_MEMORY, index, "its initial content lies outside memory.bin");
    /* Code caches do not see writes through another mapping: code never changes. */
    if (region->writable && region->executable)
        return refuse(error, KHS_HOST_CONFIG, index, "writable in one partition and executable in another");
    const uint8_t *content = (const uint8_t *)image->data + cfg->file_offset;
    if (ftruncate(memory->golden, (off_t)(*offset + pages(cfg->file_size))) != 0 ||
        !write_whole(memory->golden, content, cfg->file_size, *offset) ||
        !map_region(memory, index, cfg, *offset) ||
        (region->executable && config->arch != KHS_ARMV7 && !map_lengths(region)))
        return refuse(error, KHS_HOST_SYSTEM, index, strerror(errno));
    *offset += pages(cfg->file_size);
    return true;
}

bool khs_memory_open(khs_memory *memory, const khs_config *config, const khs_host_bytes *image,
                     khs_host_error *error)
{
    uint64_t offset = 0;
    memory->count = config->regions.count;
    memory->regions = calloc(memory->count, sizeof *memory->regions);
    memory->golden = memfd_create("khs-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory->regions == NULL || memory->golden < 0)
        return refuse(error, KHS_HOST_SYSTEM, 0, "no memory for the images");
    collect_rights(memory, config);
    for (uint32_t i = 0; i < memory->count; i++)
        if (!open_region(memory, config, i, image, &offset, error))
            return false;
    memory->golden_size = offset;
    if (fcntl(memory->golden, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return refuse(error, KHS_HOST_SYSTEM, 0, "the images cannot be sealed");
    return true;
}

bool khs_memory_view(khs_memory *memory)
{
    if (memory->view != NULL)
        return true;
    /* The memfd may be empty. */
    void *view = mmap(NULL, memory->golden_size + KHS_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (view == MAP_FAILED)
        return false;
    if (memory->golden_size > 0 && mmap(view, memory->golden_size, PROT_READ, MAP_SHARED | MAP_FIXED,
                                        memory->golden, 0) == MAP_FAILED) {
        munmap(view, memory->golden_size + KHS_PAGE);
        return false;
    }
    memory->view = view;
    memory->table = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return true;
}

static void unmap_region(const khs_region_memory *region)
{
    if (region->base != NULL)
        munmap(region->base, region->size);
    if (region->lengths != NULL)
        munmap(region->lengths, region->size);
}

void khs_memory_close(khs_memory *memory)
{
    for (uint32_t i = 0; memory->regions != NULL && i < memory->count; i++)
        unmap_region(&memory->regions[i]);
    free(memory->regions);
    if (memory->view != NULL)
        munmap(memory->view, memory->golden_size + KHS_PAGE);
    if (memory->table > 0)
        close(memory->table);
    if (memory->golden >= 0)
        close(memory->golden);
}

void khs_memory_reset(khs_memory *memory, uint32_t region)
{
    khs_region_memory *r = &memory->regions[region];
    if (r->writable)
        madvise(r->base, r->size, MADV_DONTNEED);
}
