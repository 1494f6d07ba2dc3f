/* ARMv7: Cortex-A9, A32 only, user mode, VFP and NEON on. */
#include "internal.h"

#define CPSR_USER 0x10u
#define CPSR_THUMB 0x20u
#define INSTRUCTION 4u

/* Numbers of UC_HOOK_INTR: QEMU's exceptions. */
enum { EXCP_UDEF = 1, EXCP_SWI = 2, EXCP_DATA_ABORT = 4, EXCP_BKPT = 7 };

static const int registers[] = {
    UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R4, UC_ARM_REG_R5,
    UC_ARM_REG_R6, UC_ARM_REG_R7, UC_ARM_REG_R8, UC_ARM_REG_R9, UC_ARM_REG_R10, UC_ARM_REG_R11,
    UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_CPSR,
};

/* Every A32 instruction is four bytes, whatever its condition. */
static void on_block(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    khs_cpu *cpu = data;
    uint32_t ticks = (size + INSTRUCTION - 1) / INSTRUCTION;
    if (khs_block_stops(cpu, uc, pc, size))
        return;
    if (KHS_RARE(ticks > cpu->left)) {
        khs_latch_budget(cpu, uc, pc);
        return;
    }
    cpu->left -= ticks;
    cpu->now = (khs_block){.pc = pc, .size = size, .ticks = ticks};
}

static void on_code(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    khs_cpu *cpu = data;
    (void)size;
    if (khs_code_stops(cpu, uc, pc))
        return;
    cpu->left--;
    cpu->skip = false;
    cpu->now = (khs_block){.pc = pc, .size = INSTRUCTION, .ticks = 1};
}

static uint32_t word_at(khs_cpu *cpu, uint64_t address)
{
    uint8_t buffer[INSTRUCTION] = {0};
    uint32_t size = INSTRUCTION;
    const uint8_t *b = khs_cpu_code(cpu, address, buffer, &size);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t pc_of(uc_engine *uc)
{
    uint32_t pc = 0;
    uc_reg_read(uc, UC_ARM_REG_PC, &pc);
    return pc;
}

/* Only exclusive accesses have to be aligned, at the address in a register. */
static uint64_t exclusive_address(khs_cpu *cpu, uc_engine *uc, uint64_t pc)
{
    uint32_t word = word_at(cpu, pc), address = 0;
    if ((word & 0x0f8000f0u) == 0x01800090u)
        uc_reg_read(uc, registers[word >> 16 & 15], &address);
    return address;
}

/* The one hypercall is `svc #0`; Unicorn does not pass the number in the instruction. */
static void on_svc(khs_cpu *cpu, uc_engine *uc)
{
    uint64_t pc = khs_block_end(&cpu->now) - INSTRUCTION;
    uint32_t comment = word_at(cpu, pc) & 0xffffffu;
    if (comment == 0)
        khs_latch_trap(cpu, uc);
    else
        khs_latch_other_trap(cpu, uc, KHS_FAULT_TRAP, comment, pc);
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *data)
{
    khs_cpu *cpu = data;
    if (number == EXCP_SWI) {
        on_svc(cpu, uc);
        return;
    }
    khs_latch fault = {.kind = KHS_FAULT_TRAP, .detail = number, .pc = pc_of(uc)};
    if (number == EXCP_UDEF)
        fault = (khs_latch){.kind = KHS_FAULT_UNDEFINED, .pc = fault.pc};
    else if (number == EXCP_DATA_ABORT)
        fault = (khs_latch){.kind = KHS_FAULT_ALIGNMENT, .pc = fault.pc,
                            .address = exclusive_address(cpu, uc, fault.pc)};
    else if (number == EXCP_BKPT)
        fault = (khs_latch){.kind = KHS_FAULT_BREAKPOINT, .pc = fault.pc};
    khs_latch_fault(cpu, uc, &fault, true);
}

/* Unicorn reports `wfe` and `yield`, which do nothing here, like illegal instructions, but
 * with the pc behind them, where their block ends; a real one is part of its block. */
static bool on_illegal(uc_engine *uc, void *data)
{
    khs_cpu *cpu = data;
    uint64_t pc = pc_of(uc);
    if (pc == khs_block_end(&cpu->now) && cpu->reason == KHS_RUNNING_ON)
        return true;
    khs_latch_fault(cpu, uc, &(khs_latch){.kind = KHS_FAULT_UNDEFINED, .pc = pc}, true);
    return false;
}

/* Called when a block is translated, before it runs. Thumb cannot be counted exactly and
 * its faults inside IT blocks are not precise, so it never runs. The block stays in the
 * code cache, where nothing would catch it a second time: both engines must go. */
static void on_new_block(uc_engine *uc, uc_tb *block, uc_tb *before, void *data)
{
    khs_cpu *cpu = data;
    uint32_t cpsr = 0;
    (void)before;
    uc_reg_read(uc, UC_ARM_REG_CPSR, &cpsr);
    bool thumb = (cpsr & CPSR_THUMB) != 0;
    if (!thumb && block->pc % INSTRUCTION == 0)
        return;
    khs_latch fault = {.kind = thumb ? KHS_FAULT_ISA : KHS_FAULT_ALIGNMENT, .pc = block->pc, .address = block->pc};
    if (cpu->reason == KHS_RUNNING_ON)
        cpu->refused = fault;
    cpu->tainted = true;
    khs_latch_fault(cpu, uc, &fault, false);
}

static bool hooks(khs_cpu *cpu, uc_engine *uc)
{
    uc_hook hook;
    return uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_interrupt, cpu, 1, 0) == UC_ERR_OK &&
           uc_hook_add(uc, &hook, UC_HOOK_INSN_INVALID, (void *)on_illegal, cpu, 1, 0) == UC_ERR_OK &&
           uc_hook_add(uc, &hook, UC_HOOK_EDGE_GENERATED, (void *)on_new_block, cpu, 1, 0) == UC_ERR_OK;
}

/* CPACR gives user mode the coprocessors 10 and 11, FPEXC.EN turns them on. */
static bool user_mode(uc_engine *uc)
{
    uc_arm_cp_reg cpacr = {.cp = 15, .crn = 1, .crm = 0, .opc1 = 0, .opc2 = 2};
    uint32_t fpexc = 1u << 30, cpsr = CPSR_USER;
    if (uc_reg_read(uc, UC_ARM_REG_CP_REG, &cpacr) != UC_ERR_OK)
        return false;
    cpacr.val |= 0xfu << 20;
    return uc_reg_write(uc, UC_ARM_REG_CP_REG, &cpacr) == UC_ERR_OK &&
           uc_reg_write(uc, UC_ARM_REG_FPEXC, &fpexc) == UC_ERR_OK &&
           uc_reg_write(uc, UC_ARM_REG_CPSR, &cpsr) == UC_ERR_OK;
}

static void enter(khs_cpu *cpu, uint64_t pc, uint64_t sp, uint64_t argument, bool fresh)
{
    uint32_t cpsr = CPSR_USER, stack = (uint32_t)sp & ~15u, r0 = (uint32_t)argument;
    (void)fresh;
    uc_reg_write(cpu->main, UC_ARM_REG_CPSR, &cpsr); /* first: the stack pointer is banked */
    uc_reg_write(cpu->main, UC_ARM_REG_SP, &stack);
    uc_reg_write(cpu->main, UC_ARM_REG_R0, &r0);
    cpu->pc = pc & ~(uint64_t)1; /* Unicorn would take bit 0 for Thumb */
    if (pc % INSTRUCTION)
        cpu->refused = (khs_latch){.kind = pc & 1 ? KHS_FAULT_ISA : KHS_FAULT_ALIGNMENT, .pc = pc, .address = pc};
}

static uint32_t distance(khs_cpu *cpu, uint64_t from, uint64_t to)
{
    (void)cpu;
    return (uint32_t)((to - from) / INSTRUCTION);
}

static bool idles(khs_cpu *cpu)
{
    const uint32_t wfi = 0x0320f003;
    return cpu->pc == khs_block_end(&cpu->now) && (word_at(cpu, cpu->pc - INSTRUCTION) & 0x0fffffffu) == wfi;
}

static void set_result(khs_cpu *cpu, uint32_t code, uint32_t value)
{
    static const int to[] = {UC_ARM_REG_R0, UC_ARM_REG_R1};
    void *values[] = {&code, &value};
    uc_reg_write_batch(cpu->main, to, values, 2);
}

const khs_isa khs_isa_armv7 = {
    .arch = UC_ARCH_ARM,
    .mode = UC_MODE_ARM,
    .model = UC_CPU_ARM_CORTEX_A9,
    .pc = UC_ARM_REG_PC,
    .sp = UC_ARM_REG_SP,
    .trapped = {UC_ARM_REG_R7},
    .trapped_count = 1,
    .arguments = {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R4, UC_ARM_REG_R5},
    .results = {UC_ARM_REG_R0, UC_ARM_REG_R1},
    .registers = registers,
    .register_count = sizeof registers / sizeof *registers,
    .pc_index = 15,
    .user_mode = user_mode,
    .hooks = hooks,
    .on_block = on_block,
    .on_code = on_code,
    .enter = enter,
    .distance = distance,
    .idles = idles,
    .set_result = set_result,
};
