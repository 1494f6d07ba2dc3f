/* `lock bt/bts/btr/btc` with a register operand: an invalid instruction, on which QEMU's
 * translator aborts the process. Where one would begin, at any byte offset because a guest may
 * jump into the middle of an instruction, is an exit of the engine: it stops there before it
 * translates, and the guest gets the fault that hardware raises. Bytes that only look like one
 * do no harm. (The abort guard is the second line.) */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/* Longest x86 instruction; longer ones are refused before they are translated. */
#define LONGEST 15u
#define SHORTEST 3u /* of a bit test without prefixes */
#define TAIL 4u     /* with an immediate */
#define BEFORE (LONGEST - SHORTEST)
#define LOCK 0xf0
/* Addresses of a partition; no ordinary code comes near. */
#define EXITS_MOST 4096u

static bool is_prefix(uint8_t b, bool wide)
{
    switch (b) {
    case LOCK: case 0xf2: case 0xf3: case 0x66: case 0x67:
    case 0x2e: case 0x36: case 0x3e: case 0x26: case 0x64: case 0x65:
        return true;
    default:
        return wide && (b & 0xf0) == 0x40;
    }
}

/* Length of the bit test of a register at `code`, without prefixes; 0 if there is none. */
static uint32_t bit_test(const uint8_t *code, uint64_t size)
{
    if (size < SHORTEST || code[0] != 0x0f)
        return 0;
    switch (code[1]) {
    case 0xa3: case 0xab: case 0xb3: case 0xbb:
        return code[2] >= 0xc0 ? SHORTEST : 0;
    case 0xba:
        return code[2] >= 0xe0 && size >= TAIL ? TAIL : 0;
    default:
        return 0;
    }
}

/* Where instructions that end in the bit test at `code` begin: `most` to `least` bytes before
 * it, from the first prefix that is not one too many up to the last lock. False: nowhere. */
static bool locked(const uint8_t *code, uint64_t before, uint64_t after, bool wide, uint32_t *most, uint32_t *least)
{
    uint32_t length = bit_test(code, after);
    *least = 0;
    if (length == 0)
        return false;
    for (uint32_t n = 1; n <= before && n + length <= LONGEST && is_prefix(*(code - n), wide); n++) {
        if (*(code - n) == LOCK && *least == 0)
            *least = n;
        *most = n;
    }
    return *least != 0;
}

uint64_t khs_scan(uint32_t arch, const uint8_t *code, uint64_t size)
{
    uint32_t most, least;
    for (uint64_t at = 0; arch != KHS_ARMV7 && at < size; at++)
        if (locked(code + at, at, size - at, arch == KHS_X64, &most, &least))
            return at - most;
    return size;
}

uint64_t khs_host_scan(uint32_t arch, const void *code, uint64_t size)
{
    return khs_scan(arch, code, size);
}

/* ------------------------------------------------------------ a partition */

static bool refuse(khs_host_error *error, uint32_t partition, uint64_t address)
{
    error->failure = KHS_HOST_CODE;
    error->partition = partition;
    error->where = address;
    snprintf(error->text, sizeof error->text,
             "lock bt/bts/btr/btc with a register operand, an invalid instruction, at more than %u addresses; "
             "the next is 0x%llx",
             EXITS_MOST, (unsigned long long)address);
    return false;
}

static bool add(khs_exits *exits, uint32_t partition, uint64_t address, khs_host_error *error)
{
    if (exits->count == EXITS_MOST)
        return refuse(error, partition, address);
    if (exits->count % 64 == 0) {
        uint64_t *at = realloc(exits->at, (exits->count + 64u + KHS_EXITS_SPARE) * sizeof *at);
        if (at == NULL) {
            khs_host_fail(error, KHS_HOST_SYSTEM, 0, "no memory");
            return false;
        }
        exits->at = at;
    }
    exits->at[exits->count++] = address;
    return true;
}

/* Code around `address`, also that of neighbouring regions: from `*before` bytes in front of
 * the byte that is returned to `*after` bytes from there. */
static const uint8_t *around(khs_host *host, uint32_t partition, uint64_t address, uint8_t *window, uint64_t *before,
                             uint64_t *after)
{
    uint64_t room;
    const uint8_t *from;
    for (*before = 0; *before < BEFORE; (*before)++) {
        from = khs_guest_at(host, partition, address - *before - 1, KHS_X, &room);
        if (from == NULL)
            break;
        window[BEFORE - 1 - *before] = *from;
    }
    for (*after = 0; *after < TAIL; (*after)++) {
        from = khs_guest_at(host, partition, address + *after, KHS_X, &room);
        if (from == NULL)
            break;
        window[BEFORE + *after] = *from;
    }
    return window + BEFORE;
}

static bool scan_region(khs_host *host, uint32_t partition, const khs_cfg_map *map, khs_exits *exits,
                        khs_host_error *error)
{
    const uint8_t *base = host->memory.regions[map->region].base;
    uint64_t size = host->regions[map->region].file_size; /* zeros follow */
    for (uint64_t at = 0; at < size; at++) {
        uint8_t window[BEFORE + TAIL];
        uint64_t before = at, after = size - at;
        uint32_t most, least;
        const uint8_t *code = base + at;
        if (*code != 0x0f)
            continue;
        if (before < BEFORE || after < TAIL)
            code = around(host, partition, map->address + at, window, &before, &after);
        if (!locked(code, before, after, host->config->arch == KHS_X64, &most, &least))
            continue;
        for (uint32_t n = most; n >= least; n--)
            if (!add(exits, partition, map->address + at - n, error))
                return false;
    }
    return true;
}

bool khs_exits_find(khs_host *host, uint32_t partition, khs_exits *exits, khs_host_error *error)
{
    khs_slice slice = host->partitions[partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++)
        if ((host->maps[i].rights & KHS_X) && !scan_region(host, partition, &host->maps[i], exits, error))
            return false;
    return true;
}

bool khs_exits_has(const khs_exits *exits, uint64_t address)
{
    uint32_t low = 0, high = exits->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (exits->at[middle] < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < exits->count && exits->at[low] == address;
}
