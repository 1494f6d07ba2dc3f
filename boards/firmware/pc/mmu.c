/* Address spaces (Intel SDM volume 3, 4.4 PAE and 4.5 4-level paging): tables of 512 entries
 * of 8 bytes; x64 has four levels of them, x86 three, of which the top one has four entries.
 * The first gigabyte is the kernel's and the same in all of them. */
#include "../common/board.h"

#define PRESENT 0x1u
#define WRITABLE 0x2u
#define USER 0x4u
#define UNCACHED 0x18u /* PCD and PWT */
#define NOT_EXECUTED (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull
#define ENTRIES 512u
#define DEVICES 0xc0000000u

struct space {
    uint64_t entries[ENTRIES];
};

extern uint64_t kernel_directory[];

#ifdef __x86_64__
#define LEVELS 4u
#define TOP_FLAGS (PRESENT | WRITABLE | USER)
#define LIMIT (1ull << 47)
#else
#define LEVELS 3u
#define TOP_FLAGS PRESENT /* the rest is reserved there */
#define LIMIT (1ull << 32)
#endif

static uint64_t *entry_of(uint64_t *table, uint64_t address, uint32_t level)
{
    return &table[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

static uint64_t *below(uint64_t *entry, uint32_t level)
{
    if (!(*entry & PRESENT))
        *entry = (uintptr_t)memory_pages(PAGE, PAGE) | (level == 3 ? TOP_FLAGS : PRESENT | WRITABLE | USER);
    return (uint64_t *)(uintptr_t)(*entry & ADDRESS);
}

space *space_new(void)
{
    space *s = memory_pages(sizeof *s, PAGE);
    uint64_t *table = s->entries;
    if (LEVELS == 4)
        table = below(entry_of(table, 0, 4), 4);
    *entry_of(table, 0, 3) = (uintptr_t)kernel_directory | PRESENT | (LEVELS == 4 ? WRITABLE : 0);
    return s;
}

static bool map(space *s, uint64_t address, uint64_t physical, uint64_t size, uint64_t flags)
{
    if (address < KERNEL_END || address >= LIMIT || size > LIMIT - address)
        return false;
    for (uint64_t done = 0; done < size; done += PAGE) {
        uint64_t *table = s->entries;
        for (uint32_t level = LEVELS; level > 1; level--)
            table = below(entry_of(table, address + done, level), level);
        *entry_of(table, address + done, 1) = (physical + done) | flags;
    }
    return true;
}

bool space_map(space *s, uint64_t address, uint64_t physical, uint64_t size, uint32_t rights)
{
    uint64_t flags = PRESENT | USER | (rights & KHS_W ? WRITABLE : 0) | (rights & KHS_X ? 0 : NOT_EXECUTED);
    return map(s, address, physical, size, flags);
}

/* Devices lie above what may be memory here. */
bool space_map_device(space *s, uint64_t address, uint64_t physical, uint64_t size)
{
    return physical >= DEVICES && map(s, address, physical, size, PRESENT | USER | WRITABLE | UNCACHED | NOT_EXECUTED);
}

void space_enter(const space *s)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)s) : "memory");
}

/* Instruction fetch sees every write here. */
void board_code_written(const void *address, size_t size) { (void)address, (void)size; }
