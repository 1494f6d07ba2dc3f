/* Where x86 instructions begin and end. Nobody but the CPU engine can say how it decodes
 * bytes, so it is asked: the twin's hook tells the length of each instruction, which is
 * kept by address. Code therefore runs on the twin first, and a block is given to the main
 * engine once all of it is known. Code never changes, so neither do lengths. */
#include "internal.h"

/* NULL where there is no code. */
static uint8_t *length_at(khs_cpu *cpu, uint64_t pc)
{
    if (!khs_cpu_find_code(cpu, pc) || cpu->lengths == NULL)
        return NULL;
    return &cpu->lengths[pc - cpu->code_start];
}

bool khs_x86_is_known(khs_cpu *cpu, uint64_t pc)
{
    const uint8_t *length = length_at(cpu, pc);
    return length != NULL && *length != 0;
}

uint64_t khs_x86_walk(khs_cpu *cpu, uint64_t from, uint64_t to, uint32_t *count)
{
    *count = 0;
    while (from < to) {
        const uint8_t *length = length_at(cpu, from);
        if (length == NULL || *length == 0)
            break;
        from += *length;
        ++*count;
    }
    return from;
}

uint64_t khs_x86_ending_at(khs_cpu *cpu, uint64_t end)
{
    uint64_t pc = cpu->now.pc;
    for (;;) {
        const uint8_t *length = length_at(cpu, pc);
        if (length == NULL || *length == 0 || pc + *length >= end)
            return pc;
        pc += *length;
    }
}

/* ------------------------------------------------------------ bytes */

static bool is_wide(const khs_cpu *cpu)
{
    return cpu->host->arch == &khs_isa_x64;
}

/* As many bytes as the instruction at `pc` may have, and zeros. */
static void fetch(khs_cpu *cpu, uint64_t pc, uint8_t code[KHS_X86_FETCHED])
{
    uint8_t buffer[KHS_X86_LONGEST];
    uint32_t size = KHS_X86_LONGEST;
    const uint8_t *from = khs_cpu_code(cpu, pc, buffer, &size);
    for (uint32_t i = 0; i < KHS_X86_FETCHED; i++)
        code[i] = i < size ? from[i] : 0;
}

uint8_t khs_x86_opcode_at(khs_cpu *cpu, uint64_t pc)
{
    uint8_t code[KHS_X86_FETCHED];
    fetch(cpu, pc, code);
    return *khs_x86_opcode(code, is_wide(cpu));
}

/* ------------------------------------------------------------ new code */

/* An instruction that reaches into another region, which may not lie there for everybody
 * who shares this one, stays unknown. */
static void learn(khs_cpu *cpu, uint64_t pc, uint32_t size)
{
    uint8_t *length = length_at(cpu, pc);
    if (length != NULL && cpu->code_size - (pc - cpu->code_start) >= size)
        *length = (uint8_t)size;
}

/* Unicorn tells no length of an instruction that is too long; it faults. */
bool khs_x86_admit(khs_cpu *cpu, uc_engine *uc, uint64_t pc, uint32_t size)
{
    uint8_t code[KHS_X86_FETCHED];
    khs_latch fault = {.pc = pc};
    if (size > KHS_X86_LONGEST)
        return true;
    fetch(cpu, pc, code);
    enum khs_x86_rule rule = khs_x86_rule(code, is_wide(cpu), &fault);
    if (rule == KHS_X86_REFUSED)
        khs_latch_fault(cpu, uc, &fault, false);
    else if (rule == KHS_X86_RUNS)
        learn(cpu, pc, size);
    return rule != KHS_X86_REFUSED;
}
