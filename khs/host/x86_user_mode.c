/* x86: how an engine gets to user mode, where nothing privileged is left within reach. */
#include "internal.h"

#define CR0_MP 0x02u
#define CR0_EM 0x04u
#define CR0_NE 0x20u
#define CR4_TSD 0x004u /* rdtsc faults */
/* rdpmc faults in user mode where this is clear, but QEMU has it the wrong way round. Guests
 * cannot read it. */
#define CR4_PCE 0x100u
#define CR4_SSE 0x600u

#define SETUP 0x1000u /* a scratch page; no partition is mapped yet */
#define CODE_3 0x1bu
#define DATA_3 0x23u

/* Segment descriptors for flat 4 GiB segments: null, code 0, data 0, code 3, data 3. */
static const uint64_t gdt_x86[] = {0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff};
static const uint64_t gdt_x64[] = {0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00affa000000ffff, 0x00cff2000000ffff};

/* SS cannot be loaded with another privilege level than the current one, so the way down
 * is the one a kernel takes: iret from a frame on a stack. */
static bool drop_privilege(uc_engine *uc, bool wide)
{
    static const uint8_t iret[] = {0xcf, 0x90}, iretq[] = {0x48, 0xcf};
    uint64_t frame64[] = {SETUP, CODE_3, KHS_X86_EFLAGS, SETUP, DATA_3}, frame_at = SETUP + 0x200, sp = frame_at;
    uint32_t frame32[] = {SETUP, CODE_3, KHS_X86_EFLAGS, SETUP, DATA_3};
    uc_x86_mmr gdtr = {.base = SETUP + 0x100, .limit = sizeof gdt_x86 - 1};
    return uc_mem_map(uc, SETUP, KHS_PAGE, UC_PROT_ALL) == UC_ERR_OK &&
           uc_mem_write(uc, SETUP, wide ? iretq : iret, 2) == UC_ERR_OK &&
           uc_mem_write(uc, gdtr.base, wide ? gdt_x64 : gdt_x86, sizeof gdt_x86) == UC_ERR_OK &&
           uc_mem_write(uc, frame_at, wide ? (void *)frame64 : (void *)frame32, wide ? sizeof frame64 : sizeof frame32) == UC_ERR_OK &&
           uc_reg_write(uc, UC_X86_REG_GDTR, &gdtr) == UC_ERR_OK &&
           uc_reg_write(uc, wide ? UC_X86_REG_RSP : UC_X86_REG_ESP, &sp) == UC_ERR_OK &&
           uc_emu_start(uc, SETUP, 0, 0, 1) == UC_ERR_OK;
}

/* The data segments come from the table; then an empty one makes every later load of a
 * segment register fault. */
static bool close_tables(uc_engine *uc)
{
    uc_x86_mmr none = {0};
    uint32_t data = DATA_3;
    return uc_reg_write(uc, UC_X86_REG_DS, &data) == UC_ERR_OK &&
           uc_reg_write(uc, UC_X86_REG_ES, &data) == UC_ERR_OK &&
           uc_reg_write(uc, UC_X86_REG_GDTR, &none) == UC_ERR_OK &&
           uc_mem_unmap(uc, SETUP, KHS_PAGE) == UC_ERR_OK;
}

static bool control_registers(uc_engine *uc)
{
    uint64_t cr0 = 0, cr4 = 0;
    if (uc_reg_read(uc, UC_X86_REG_CR0, &cr0) != UC_ERR_OK || uc_reg_read(uc, UC_X86_REG_CR4, &cr4) != UC_ERR_OK)
        return false;
    cr0 = (cr0 & ~(uint64_t)CR0_EM) | CR0_MP | CR0_NE;
    cr4 |= CR4_SSE | CR4_TSD | CR4_PCE;
    return uc_reg_write(uc, UC_X86_REG_CR0, &cr0) == UC_ERR_OK && uc_reg_write(uc, UC_X86_REG_CR4, &cr4) == UC_ERR_OK;
}

/* As after `fninit`, and with every SSE exception masked; an engine comes with zeros, with
 * which floating point would be single precision and trap. */
static bool floating_point(uc_engine *uc)
{
    uint16_t control = 0x37f, empty = 0xffff;
    uint32_t mxcsr = 0x1f80;
    return uc_reg_write(uc, UC_X86_REG_FPCW, &control) == UC_ERR_OK &&
           uc_reg_write(uc, UC_X86_REG_FPTAG, &empty) == UC_ERR_OK &&
           uc_reg_write(uc, UC_X86_REG_MXCSR, &mxcsr) == UC_ERR_OK;
}

static bool is_user(uc_engine *uc)
{
    uint32_t cs = 0, ss = 0;
    uc_reg_read(uc, UC_X86_REG_CS, &cs);
    uc_reg_read(uc, UC_X86_REG_SS, &ss);
    return cs == CODE_3 && ss == DATA_3;
}

bool khs_x86_user_mode(uc_engine *uc, bool wide)
{
    return control_registers(uc) && floating_point(uc) && drop_privilege(uc, wide) && close_tables(uc) && is_user(uc);
}
