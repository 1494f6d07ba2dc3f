/* Physical memory: what the boot image leaves free is handed out once, in order, and never
 * comes back. */
#include "../../../khs/core/internal.h"
#include "firmware.h"

static uintptr_t next_free, end_of_memory;

void *memory_pages(size_t bytes, size_t alignment)
{
    uintptr_t at = (next_free + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (at < next_free || at > end_of_memory || bytes > end_of_memory - at)
        firmware_fail("the board's memory is too small, bytes wanted", bytes);
    next_free = at + bytes;
    __builtin_memset((void *)at, 0, bytes);
    return (void *)at;
}

static void load(firmware *f, uint32_t region)
{
    const khs_cfg_region *r = &f->regions[region];
    khs_copy(f->memory[region], (const uint8_t *)image_at(f, f->image->memory) + r->file_offset, r->file_size);
    __builtin_memset(f->memory[region] + r->file_size, 0, r->size - r->file_size);
}

void memory_reset(firmware *f, uint32_t region)
{
    if (f->writable[region])
        load(f, region);
}

static void open_regions(firmware *f)
{
    uint32_t count = f->config->regions.count;
    f->memory = memory_pages(count * sizeof *f->memory, sizeof(void *));
    f->writable = memory_pages(count * sizeof *f->writable, 1);
    for (uint32_t i = 0; i < f->config->maps.count; i++)
        if (f->maps[i].rights & KHS_W)
            f->writable[f->maps[i].region] = true;
    for (uint32_t i = 0; i < count; i++) {
        if (f->regions[i].file_offset > f->image->memory.size ||
            f->regions[i].file_size > f->image->memory.size - f->regions[i].file_offset)
            firmware_fail("the boot image does not hold the content of region", i);
        f->memory[i] = memory_pages(f->regions[i].size, PAGE);
        load(f, i);
    }
}

static void open_space(firmware *f, uint32_t partition)
{
    khs_slice maps = f->partitions[partition].maps;
    space *s = space_new();
    for (uint32_t i = maps.first; i < maps.first + maps.count; i++) {
        const khs_cfg_map *m = &f->maps[i];
        uint64_t size = f->regions[m->region].size;
        if (!space_map(s, m->address, (uintptr_t)f->memory[m->region], size, m->rights))
            firmware_fail("this board's kernel lies at an address of a partition:", m->address);
        if (m->rights & KHS_X)
            board_code_written(f->memory[m->region], size);
    }
    f->cpus[partition].space = s;
}

/* For who checks from outside what the tables grant. */
static void show_spaces(const firmware *f)
{
    uint32_t count = f->config->partitions.count;
    uint64_t *roots = memory_pages(count * sizeof *roots, sizeof *roots);
    for (uint32_t i = 0; i < count; i++)
        roots[i] = (uintptr_t)f->cpus[i].space;
    image_log(f)->spaces = (uint32_t)(uintptr_t)roots;
}

void memory_open(firmware *f)
{
    uint64_t ram_end = board_ram + f->image->ram_size;
    next_free = (uintptr_t)f->image + (uintptr_t)f->image->size;
    if (f->image->log_size)
        next_free += sizeof(channel_log) + f->image->log_size;
    end_of_memory = ram_end < board_ram_end ? (uintptr_t)ram_end : board_ram_end;
    open_regions(f);
    f->cpus = memory_pages(f->config->partitions.count * sizeof *f->cpus, 16);
    for (uint32_t i = 0; i < f->config->partitions.count; i++)
        open_space(f, i);
    if (f->image->log_size)
        show_spaces(f);
}

static const khs_cfg_map *map_at(const firmware *f, uint32_t partition, uint64_t address)
{
    khs_slice maps = f->partitions[partition].maps;
    for (uint32_t i = maps.first; i < maps.first + maps.count; i++)
        if (address >= f->maps[i].address && address - f->maps[i].address < f->regions[f->maps[i].region].size)
            return &f->maps[i];
    return NULL;
}

bool memory_is_mapped(const firmware *f, uint32_t partition, uint64_t address)
{
    return map_at(f, partition, address) != NULL;
}

uint8_t *memory_at(const firmware *f, uint32_t partition, uint64_t address, uint64_t size, uint32_t rights)
{
    const khs_cfg_map *m = map_at(f, partition, address);
    if (m == NULL || (m->rights & rights) != rights || f->regions[m->region].size - (address - m->address) < size)
        return NULL;
    return f->memory[m->region] + (address - m->address);
}
