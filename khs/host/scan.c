/* Code that must not be loaded: `lock bt/bts/btr/btc` with a register operand, on which
 * QEMU's translator aborts the process. Looked for at every byte offset, because a guest
 * may jump into the middle of an instruction. (The abort guard is the second line.) */
#include <stdio.h>

#include "internal.h"

/* Longest x86 instruction; longer ones are illegal and never translated. */
#define LONGEST 15u

static bool is_prefix(uint8_t b, bool wide)
{
    switch (b) {
    case 0xf0: case 0xf2: case 0xf3: case 0x66: case 0x67:
    case 0x2e: case 0x36: case 0x3e: case 0x26: case 0x64: case 0x65:
        return true;
    default:
        return wide && (b & 0xf0) == 0x40;
    }
}

static bool aborts(const uint8_t *code, uint64_t size, bool wide)
{
    uint64_t at = 1;
    if (code[0] != 0xf0)
        return false;
    while (at < size && is_prefix(code[at], wide))
        at++;
    if (size - at < 3 || code[at] != 0x0f)
        return false;
    switch (code[at + 1]) {
    case 0xa3: case 0xab: case 0xb3: case 0xbb:
        return code[at + 2] >= 0xc0;
    case 0xba:
        return code[at + 2] >= 0xe0;
    default:
        return false;
    }
}

uint64_t khs_scan(uint32_t arch, const uint8_t *code, uint64_t size)
{
    if (arch == KHS_ARMV7)
        return size;
    for (uint64_t at = 0; at < size; at++)
        if (aborts(code + at, size - at, arch == KHS_X64))
            return at;
    return size;
}

static bool found(khs_host_error *error, uint32_t partition, uint64_t address)
{
    error->failure = KHS_HOST_CODE;
    error->partition = partition;
    error->where = address;
    snprintf(error->text, sizeof error->text,
             "lock bt/bts/btr/btc with a register operand at 0x%llx: no such instruction exists, "
             "and the CPU engine cannot load it",
             (unsigned long long)address);
    return false;
}

/* The last bytes of one region may continue in the region mapped behind it. */
static bool scan_seam(khs_host *host, uint32_t partition, const khs_cfg_map *map, khs_host_error *error)
{
    uint8_t code[2 * LONGEST];
    uint64_t end = map->address + host->regions[map->region].size, from = end - LONGEST;
    uint32_t size = 0;
    const khs_cfg_map *behind = map + 1;
    const uint8_t *first = host->memory.regions[map->region].base;
    const uint8_t *second = host->memory.regions[behind->region].base;
    for (; size < LONGEST; size++)
        code[size] = first[from - map->address + size];
    for (; size < sizeof code; size++)
        code[size] = second[size - LONGEST];
    uint64_t at = khs_scan(host->config->arch, code, size);
    return at == size || found(error, partition, from + at);
}

bool khs_scan_partition(khs_host *host, uint32_t partition, khs_host_error *error)
{
    khs_slice slice = host->partitions[partition].maps;
    const khs_cfg_map *maps = host->maps + slice.first;
    for (uint32_t i = 0; i < slice.count; i++) {
        const khs_region_memory *region = &host->memory.regions[maps[i].region];
        if (!(maps[i].rights & KHS_X))
            continue;
        uint64_t content = host->regions[maps[i].region].file_size; /* zeros follow */
        uint64_t at = khs_scan(host->config->arch, region->base, content);
        if (at != content)
            return found(error, partition, maps[i].address + at);
        bool joined = i + 1 < slice.count && (maps[i + 1].rights & KHS_X) &&
                      maps[i + 1].address == maps[i].address + region->size;
        if (joined && !scan_seam(host, partition, &maps[i], error))
            return false;
    }
    return true;
}

uint64_t khs_host_scan(uint32_t arch, const void *code, uint64_t size)
{
    return khs_scan(arch, code, size);
}
