/* x86 and x64: QEMU's qemu64 model in flat user mode, SSE on, the clock trapped. The model
 * matters: Unicorn's default one has rdrand and rdseed at user level. */
#include "internal.h"

/* Exception vectors. */
enum { DIVIDE = 0, DEBUG = 1, BREAKPOINT = 3, OVERFLOW = 4, UNDEFINED = 6, INVALID_TSS = 10, PROTECTION = 13,
       X87_ERROR = 16, ALIGNMENT = 17, SIMD_ERROR = 19, VECTORS = 32, HYPERCALL_X86 = 0x80 };
/* Opcodes. */
enum { INT = 0xcd, INT1 = 0xf1 };

#define TRAP_FLAG 0x100u /* of EFLAGS */

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

static const int registers_x86[] = {
    UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP,
    UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI, UC_X86_REG_EIP, UC_X86_REG_EFLAGS,
};
static const int registers_x64[] = {
    UC_X86_REG_RAX, UC_X86_REG_RBX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RSI, UC_X86_REG_RDI,
    UC_X86_REG_RBP, UC_X86_REG_RSP, UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15, UC_X86_REG_RIP, UC_X86_REG_EFLAGS,
};

static bool is_wide(const khs_cpu *cpu)
{
    return cpu->host->arch == &khs_isa_x64;
}

/* ------------------------------------------------------------ code */

static uint32_t distance(khs_cpu *cpu, uint64_t from, uint64_t to)
{
    uint32_t count;
    khs_x86_walk(cpu, from, to, &count);
    return count;
}

static uint64_t known(khs_cpu *cpu, uint64_t pc, uint64_t edge)
{
    uint32_t count;
    return khs_x86_walk(cpu, pc, edge, &count);
}

/* ------------------------------------------------------------ counting */

/* Known blocks, by the low bits of their address: from the top the rest of the address,
 * the size, the number of instructions. Code never changes, so neither does this. */
#define TICKS_BITS 10 /* a block has at most 512 instructions */
#define SIZE_BITS 13  /* and spans less than two pages */

static uint64_t entry_of(uint64_t pc, uint32_t size, uint64_t ticks)
{
    return (pc / KHS_BLOCKS << SIZE_BITS | size) << TICKS_BITS | ticks;
}

/* A block that is not in the table, holds something unknown, or does not fit into the
 * budget. */
static __attribute__((noinline)) void on_rare_block(uc_engine *uc, uint64_t pc, uint32_t size, khs_cpu *cpu)
{
    bool is_counted = (cpu->blocks[pc % KHS_BLOCKS] ^ entry_of(pc, size, 0)) < 1u << TICKS_BITS;
    khs_block block = {.pc = pc, .size = size};
    if (!is_counted && (cpu->unknown_from = khs_x86_walk(cpu, pc, pc + size, &block.ticks)) != pc + size)
        cpu->unknown = size;
    else if (!is_counted && khs_is_watched(cpu) && !khs_x86_restarts(cpu, pc, pc + size))
        cpu->unknown = size;
    if (is_counted || cpu->unknown > 0 || block.ticks > cpu->left) {
        khs_latch_budget(cpu, uc, pc);
        return;
    }
    cpu->left -= block.ticks;
    cpu->now = block;
    if (block.ticks < 1u << TICKS_BITS && size < 1u << SIZE_BITS)
        cpu->blocks[pc % KHS_BLOCKS] = entry_of(pc, size, block.ticks);
}

static void on_block(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    khs_cpu *cpu = data;
    uint64_t ticks = cpu->blocks[pc % KHS_BLOCKS] ^ entry_of(pc, size, 0);
    if (khs_block_stops(cpu, uc, pc, size))
        return;
    if (KHS_RARE(ticks >= 1u << TICKS_BITS || ticks > cpu->left)) {
        on_rare_block(uc, pc, size, cpu);
        return;
    }
    cpu->left -= ticks;
    cpu->now = (khs_block){.pc = pc, .size = size, .ticks = (uint32_t)ticks};
}

static void on_code(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    khs_cpu *cpu = data;
    if (khs_code_stops(cpu, uc, pc) || KHS_RARE(!khs_x86_admit(cpu, uc, pc, size)))
        return;
    cpu->left--;
    cpu->skip = false;
    cpu->now = (khs_block){.pc = pc, .size = size, .ticks = 1};
}

/* ------------------------------------------------------------ events */

static uint64_t pc_of(const khs_cpu *cpu, uc_engine *uc)
{
    uint64_t pc = 0;
    uc_reg_read(uc, cpu->host->arch->pc, &pc);
    return pc;
}

static void fault_here(khs_cpu *cpu, uc_engine *uc, uint32_t kind, uint32_t detail)
{
    khs_latch_fault(cpu, uc, &(khs_latch){.kind = kind, .detail = detail, .pc = pc_of(cpu, uc)}, true);
}

/* An `int` instruction, or another that traps behind itself. */
static void on_software(khs_cpu *cpu, uc_engine *uc, uint32_t number)
{
    uint32_t kind = number == BREAKPOINT ? KHS_FAULT_BREAKPOINT : KHS_FAULT_TRAP;
    khs_latch_other_trap(cpu, uc, kind, number, khs_x86_ending_at(cpu, khs_block_end(&cpu->now)));
}

/* The instruction before the pc was carried out with the trap flag set. */
static void on_single_step(khs_cpu *cpu, uc_engine *uc)
{
    khs_latch fault = {.kind = KHS_FAULT_BREAKPOINT, .detail = DEBUG, .pc = pc_of(cpu, uc)};
    khs_latch_fault(cpu, uc, &fault, false);
}

static void on_exception(khs_cpu *cpu, uc_engine *uc, uint32_t number)
{
    khs_latch into = {.kind = KHS_FAULT_TRAP, .detail = number};
    switch (number) {
    case OVERFLOW: /* `into` leaves the pc behind it, and does not end its block */
        into.pc = khs_x86_ending_at(cpu, pc_of(cpu, uc));
        khs_latch_fault(cpu, uc, &into, true);
        break;
    case DIVIDE:
    case X87_ERROR:
    case SIMD_ERROR: fault_here(cpu, uc, KHS_FAULT_DIVIDE, number); break;
    case UNDEFINED: fault_here(cpu, uc, KHS_FAULT_UNDEFINED, 0); break;
    case ALIGNMENT: fault_here(cpu, uc, KHS_FAULT_ALIGNMENT, 0); break;
    default:
        fault_here(cpu, uc, number >= INVALID_TSS && number <= PROTECTION ? KHS_FAULT_PRIVILEGED : KHS_FAULT_TRAP, number);
    }
}

/* Any `int n` arrives here with n, also those that look like exceptions; but an exception
 * leaves the pc at its instruction, an `int` behind it. */
static void on_interrupt(uc_engine *uc, uint32_t number, void *data)
{
    khs_cpu *cpu = data;
    uint64_t end = khs_block_end(&cpu->now);
    bool behind = number >= VECTORS || pc_of(cpu, uc) == end;
    if (number == HYPERCALL_X86 && !is_wide(cpu))
        khs_latch_trap(cpu, uc);
    else if (number == DEBUG && khs_x86_opcode_at(cpu, khs_x86_ending_at(cpu, end)) != INT)
        on_single_step(cpu, uc);
    else if (behind)
        on_software(cpu, uc, number);
    else
        on_exception(cpu, uc, number);
}

/* Exception 6 of whatever cause, and int1. */
static bool on_illegal(uc_engine *uc, void *data)
{
    khs_cpu *cpu = data;
    switch (khs_x86_opcode_at(cpu, pc_of(cpu, uc))) {
    case INT1: fault_here(cpu, uc, KHS_FAULT_BREAKPOINT, DEBUG); break;
    case INT: fault_here(cpu, uc, KHS_FAULT_TRAP, UNDEFINED); break;
    default: fault_here(cpu, uc, KHS_FAULT_UNDEFINED, 0);
    }
    return false;
}

/* On the twin ports of others are refused before; the main engine has seen this instruction with a port
 * of the partition's own. It goes on to the instruction behind it, where there is a hook. */
static uint32_t refuse_port(khs_cpu *cpu, uc_engine *uc)
{
    cpu->spoilt = uc_reg_read(uc, UC_X86_REG_RAX, &cpu->rax) == UC_ERR_OK;
    fault_here(cpu, uc, KHS_FAULT_PRIVILEGED, PROTECTION);
    return (uint32_t)cpu->rax;
}

static uint32_t on_in(uc_engine *uc, uint32_t port, int size, void *data)
{
    uint32_t value;
    return khs_device_in(data, uc, port, (uint32_t)size, &value) ? value : refuse_port(data, uc);
}

static void on_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *data)
{
    if (!khs_device_out(data, uc, port, (uint32_t)size, value))
        refuse_port(data, uc);
}

/* As with SYSENTER_CS = 0. */
static void on_sysenter(uc_engine *uc, void *data)
{
    fault_here(data, uc, KHS_FAULT_PRIVILEGED, PROTECTION);
}

static void on_syscall(uc_engine *uc, void *data)
{
    khs_cpu *cpu = data;
    if (is_wide(cpu))
        khs_latch_trap(cpu, uc);
    else
        fault_here(cpu, uc, KHS_FAULT_UNDEFINED, 0); /* as with EFER.SCE = 0 */
}

static bool hooks(khs_cpu *cpu, uc_engine *uc)
{
    static const struct {
        int instruction;
        void *callback;
    } trapped_instructions[] = {
        {UC_X86_INS_IN, (void *)on_in},
        {UC_X86_INS_OUT, (void *)on_out},
        {UC_X86_INS_SYSCALL, (void *)on_syscall},
        {UC_X86_INS_SYSENTER, (void *)on_sysenter},
    };
    uc_hook hook;
    for (size_t i = 0; i < sizeof trapped_instructions / sizeof *trapped_instructions; i++)
        if (uc_hook_add(uc, &hook, UC_HOOK_INSN, trapped_instructions[i].callback, cpu, 1, 0,
                        trapped_instructions[i].instruction) != UC_ERR_OK)
            return false;
    return uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_interrupt, cpu, 1, 0) == UC_ERR_OK &&
           uc_hook_add(uc, &hook, UC_HOOK_INSN_INVALID, (void *)on_illegal, cpu, 1, 0) == UC_ERR_OK;
}

/* ------------------------------------------------------------ registers */

static uint64_t push_back(khs_cpu *cpu, uint64_t sp, const void *bytes, uint32_t size)
{
    uint64_t room;
    uint8_t *to = khs_guest_at(cpu->host, cpu->partition, sp, KHS_W, &room);
    for (uint32_t i = 0; to != NULL && i < size && i < room; i++)
        to[i] = ((const uint8_t *)bytes)[i];
    return sp;
}

/* As after a call from nowhere: a return address of 0 on an aligned stack. Where there is
 * no stack to write to, the guest will find out by itself. */
static void enter_x86(khs_cpu *cpu, uint64_t pc, uint64_t sp, uint64_t argument, bool fresh)
{
    uint32_t frame[] = {0, (uint32_t)argument}, flags = KHS_X86_EFLAGS, eax = (uint32_t)argument;
    uint32_t esp = (((uint32_t)sp - 16u) & ~15u) - 4u;
    (void)fresh;
    push_back(cpu, esp, frame, sizeof frame);
    uc_reg_write(cpu->main, UC_X86_REG_ESP, &esp);
    uc_reg_write(cpu->main, UC_X86_REG_EAX, &eax);
    uc_reg_write(cpu->main, UC_X86_REG_EFLAGS, &flags);
    cpu->pc = pc & UINT32_MAX;
}

static void enter_x64(khs_cpu *cpu, uint64_t pc, uint64_t sp, uint64_t argument, bool fresh)
{
    const uint64_t red_zone = 128;
    uint64_t none = 0, flags = KHS_X86_EFLAGS, rsp = ((sp - (fresh ? 0 : red_zone)) & ~15ull) - 8;
    push_back(cpu, rsp, &none, sizeof none);
    uc_reg_write(cpu->main, UC_X86_REG_RSP, &rsp);
    uc_reg_write(cpu->main, UC_X86_REG_RDI, &argument);
    uc_reg_write(cpu->main, UC_X86_REG_EFLAGS, &flags);
    cpu->pc = pc;
}

static bool idles(khs_cpu *cpu)
{
    (void)cpu;
    return false; /* `pause` comes back by itself, and goes on */
}

static void set_result_x86(khs_cpu *cpu, uint32_t code, uint32_t value)
{
    static const int to[] = {UC_X86_REG_EAX, UC_X86_REG_EDX};
    void *values[] = {&code, &value};
    uc_reg_write_batch(cpu->main, to, values, 2);
}

/* `syscall` leaves the return address in rcx and the flags in r11. With the trap flag set it
 * is stepped; an engine that the hypercall stopped would not tell. */
static void set_result_x64(khs_cpu *cpu, uint32_t code, uint32_t value)
{
    static const int to[] = {UC_X86_REG_RAX, UC_X86_REG_RDX, UC_X86_REG_RCX, UC_X86_REG_R11};
    uint64_t rax = code, rdx = value;
    void *values[] = {&rax, &rdx, &cpu->pc, &cpu->flags};
    uc_reg_write_batch(cpu->main, to, values, 4);
    if (KHS_RARE(cpu->flags & TRAP_FLAG))
        cpu->refused = (khs_latch){.kind = KHS_FAULT_BREAKPOINT, .detail = DEBUG, .pc = cpu->pc};
}

/* ------------------------------------------------------------ user mode */

static bool clear(uc_engine *uc, const int *registers, uint32_t count)
{
    uint64_t zero = 0;
    for (uint32_t i = 0; i < count; i++)
        if (registers[i] != UC_X86_REG_EFLAGS && uc_reg_write(uc, registers[i], &zero) != UC_ERR_OK)
            return false;
    return true;
}

static bool user_mode_x86(uc_engine *uc)
{
    return khs_x86_user_mode(uc, false) && clear(uc, registers_x86, COUNT(registers_x86));
}

static bool user_mode_x64(uc_engine *uc)
{
    return khs_x86_user_mode(uc, true) && clear(uc, registers_x64, COUNT(registers_x64));
}

const khs_isa khs_isa_x86 = {
    .arch = UC_ARCH_X86,
    .mode = UC_MODE_32,
    .model = UC_CPU_X86_QEMU64,
    .pc = UC_X86_REG_EIP,
    .sp = UC_X86_REG_ESP,
    .trapped = {UC_X86_REG_EAX},
    .trapped_count = 1,
    .arguments = {UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_ESI, UC_X86_REG_EDI, UC_X86_REG_EBP},
    .results = {UC_X86_REG_EAX, UC_X86_REG_EDX},
    .registers = registers_x86,
    .register_count = COUNT(registers_x86),
    .pc_index = 8,
    .user_mode = user_mode_x86,
    .hooks = hooks,
    .prepare = khs_x86_prepare,
    .on_block = on_block,
    .on_code = on_code,
    .enter = enter_x86,
    .distance = distance,
    .known = known,
    .idles = idles,
    .set_result = set_result_x86,
};

const khs_isa khs_isa_x64 = {
    .arch = UC_ARCH_X86,
    .mode = UC_MODE_64,
    .model = UC_CPU_X86_QEMU64,
    .pc = UC_X86_REG_RIP,
    .sp = UC_X86_REG_RSP,
    .trapped = {UC_X86_REG_RAX, UC_X86_REG_RFLAGS},
    .trapped_count = 2,
    .arguments = {UC_X86_REG_RDI, UC_X86_REG_RSI, UC_X86_REG_RDX, UC_X86_REG_R10, UC_X86_REG_R8, UC_X86_REG_R9},
    .results = {UC_X86_REG_RAX, UC_X86_REG_RDX},
    .registers = registers_x64,
    .register_count = COUNT(registers_x64),
    .pc_index = 16,
    .user_mode = user_mode_x64,
    .hooks = hooks,
    .prepare = khs_x86_prepare,
    .on_block = on_block,
    .on_code = on_code,
    .enter = enter_x64,
    .distance = distance,
    .known = known,
    .idles = idles,
    .set_result = set_result_x64,
};
