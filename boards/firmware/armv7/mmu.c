/* Address spaces: short descriptors (ARM ARM ARMv7-A, B3.5). Each has a first-level table of
 * its own; the kernel's sections are the same in all of them and no guest's to touch. */
#include "../common/board.h"

#define SECTION_SHIFT 20u
#define SECTION 0x100000u
#define L1_ENTRIES 4096u
#define L2_ENTRIES 256u
#define L2_BYTES (L2_ENTRIES * 4u)

#define L1_TABLE 0x1u
#define L1_SECTION 0x2u
#define L1_XN 0x10u
#define L1_KERNEL 0x400u      /* AP[2:0] = 001: no access in user mode */
#define L1_READ_ONLY 0x8000u  /* AP[2] */
#define L1_NORMAL 0x1100cu    /* TEX 001, C, B: write-back, write-allocate; shareable */
#define L1_DEVICE 0x4u        /* B: shareable device */

#define L2_PAGE 0x2u
#define L2_XN 0x1u
#define L2_NORMAL 0x44cu      /* TEX 001, C, B, shareable */
#define L2_DEVICE 0x4u        /* B: shareable device */
#define L2_USER_READ 0x20u    /* AP[2:0] = 010: user reads, kernel writes */
#define L2_USER_WRITE 0x30u   /* AP[2:0] = 011 */
#define L2_NOT_GLOBAL 0x800u

#define SCTLR_MMU 0x1u
#define SCTLR_CACHES 0x1804u  /* C, Z, I */

struct space {
    uint32_t entries[L1_ENTRIES];
};

/* Boundaries of what the kernel itself uses; see sabrelite.ld. */
extern const char firmware_text_end[], firmware_ram[];

static space kernel_space __attribute__((aligned(16384)));

static uint32_t kernel_section(uint32_t address)
{
    bool ram = address >= (uintptr_t)firmware_ram;
    bool code = ram && address < (uintptr_t)firmware_text_end;
    return address | L1_SECTION | L1_KERNEL | (ram ? L1_NORMAL : L1_DEVICE) | (code ? L1_READ_ONLY : L1_XN);
}

static void fill_kernel(space *s)
{
    for (uint32_t i = 0; i < KERNEL_END >> SECTION_SHIFT; i++)
        s->entries[i] = kernel_section(i << SECTION_SHIFT);
}

static void clean(const void *from, size_t size)
{
    const uintptr_t line = 32;
    for (uintptr_t at = (uintptr_t)from & ~(line - 1); at < (uintptr_t)from + size; at += line)
        __asm__ volatile("mcr p15, 0, %0, c7, c10, 1" : : "r"(at) : "memory"); /* DCCMVAC */
    __asm__ volatile("dsb" : : : "memory");
}

static void use(const space *s)
{
    uint32_t base = (uint32_t)(uintptr_t)s, zero = 0;
    __asm__ volatile("dsb\n"
                     "mcr p15, 0, %0, c2, c0, 0\n" /* TTBR0 */
                     "isb\n"
                     "mcr p15, 0, %1, c8, c7, 0\n" /* TLBIALL */
                     "mcr p15, 0, %1, c7, c5, 6\n" /* BPIALL */
                     "dsb\n"
                     "isb"
                     : : "r"(base), "r"(zero) : "memory");
}

void mmu_open(void)
{
    uint32_t zero = 0, clients = 1, sctlr;
    fill_kernel(&kernel_space);
    __asm__ volatile("mcr p15, 0, %0, c2, c0, 2\n" /* TTBCR: TTBR0 for everything */
                     "mcr p15, 0, %1, c3, c0, 0\n" /* DACR: domain 0 is checked */
                     "mcr p14, 6, %1, c0, c0, 0\n" /* TEECR: user mode has no TEEHBR */
                     "mcr p15, 0, %0, c7, c5, 0\n" /* ICIALLU */
                     : : "r"(zero), "r"(clients));
    use(&kernel_space);
    __asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(sctlr));
    sctlr |= SCTLR_MMU | SCTLR_CACHES;
    __asm__ volatile("mcr p15, 0, %0, c1, c0, 0\n isb" : : "r"(sctlr) : "memory");
}

space *space_new(void)
{
    space *s = memory_pages(sizeof *s, sizeof *s);
    fill_kernel(s);
    clean(s, sizeof *s);
    return s;
}

static uint32_t *table_of(space *s, uint32_t address)
{
    uint32_t *entry = &s->entries[address >> SECTION_SHIFT];
    if (!(*entry & L1_TABLE)) {
        void *table = memory_pages(L2_BYTES, L2_BYTES);
        clean(table, L2_BYTES); /* the CPU walks what is in memory */
        *entry = (uint32_t)(uintptr_t)table | L1_TABLE;
        clean(entry, sizeof *entry);
    }
    return (uint32_t *)(uintptr_t)(*entry & ~(L2_BYTES - 1));
}

static bool map(space *s, uint64_t address, uint64_t physical, uint64_t size, uint32_t flags)
{
    if (address < KERNEL_END || address + size > 1ull << 32 || address + size < address)
        return false;
    for (uint64_t done = 0; done < size; done += PAGE) {
        uint32_t *entry = &table_of(s, (uint32_t)(address + done))[(address + done) / PAGE % L2_ENTRIES];
        *entry = (uint32_t)(physical + done) | flags;
        clean(entry, sizeof *entry);
    }
    return true;
}

bool space_map(space *s, uint64_t address, uint64_t physical, uint64_t size, uint32_t rights)
{
    uint32_t flags = L2_PAGE | L2_NORMAL | L2_NOT_GLOBAL | (rights & KHS_W ? L2_USER_WRITE : L2_USER_READ) |
                     (rights & KHS_X ? 0 : L2_XN);
    return map(s, address, physical, size, flags);
}

bool space_map_device(space *s, uint64_t address, uint64_t physical, uint64_t size)
{
    uint32_t flags = L2_PAGE | L2_DEVICE | L2_NOT_GLOBAL | L2_USER_WRITE | L2_XN;
    return physical + size <= board_ram && map(s, address, physical, size, flags);
}

void space_enter(const space *s) { use(s); }

void board_code_written(const void *address, size_t size)
{
    const uintptr_t line = 32;
    clean(address, size);
    for (uintptr_t at = (uintptr_t)address & ~(line - 1); at < (uintptr_t)address + size; at += line)
        __asm__ volatile("mcr p15, 0, %0, c7, c5, 1" : : "r"(at) : "memory"); /* ICIMVAU */
    __asm__ volatile("dsb\n isb" : : : "memory");
}
