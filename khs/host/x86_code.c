/* Where x86 instructions begin and end. Nobody but the CPU engine can say how it decodes
 * bytes, so it is asked: the twin's hook tells the length of each instruction, which is
 * kept by address. Code therefore runs on the twin first, and a block is given to the main
 * engine once all of it is known. Code never changes, so neither do lengths. */
#include "internal.h"

#define LENGTH 0x0fu
#define FIRST 0x10u  /* KHS_X86_FIRST */
#define HOOKED 0x20u /* KHS_X86_HOOKED */
#define PORT 0x40u   /* KHS_X86_PORT: who runs it and with which registers decides each time */

/* NULL where there is no code. */
static uint8_t *entry_at(khs_cpu *cpu, uint64_t pc)
{
    if (!khs_cpu_find_code(cpu, pc) || cpu->lengths == NULL)
        return NULL;
    return &cpu->lengths[pc - cpu->code_start];
}

/* 0 if it is not known. */
static uint32_t length_at(khs_cpu *cpu, uint64_t pc)
{
    const uint8_t *entry = entry_at(cpu, pc);
    return entry == NULL ? 0 : *entry & LENGTH;
}

/* ------------------------------------------------------------ hooks of instructions */

static bool is_hooked(khs_cpu *cpu, uint64_t pc)
{
    uint32_t i = 0;
    while (i < cpu->hooked_count && cpu->hooked[i] != pc)
        i++;
    return i < cpu->hooked_count || khs_site_is(cpu, pc);
}

static void on_hooked(uc_engine *uc, uint64_t pc, uint32_t size, void *data)
{
    (void)uc, (void)pc, (void)size, (void)data; /* it is there for what Unicorn does around it */
}

bool khs_x86_may_hook(khs_cpu *cpu, uint64_t pc)
{
    const uint8_t *entry = entry_at(cpu, pc);
    return entry != NULL && *entry != 0 && !(*entry & FIRST);
}

static void prepare_port(khs_cpu *cpu, uint64_t pc, uint32_t length)
{
    if (khs_x86_may_hook(cpu, pc + length) && khs_devices_have_ports(cpu->host, cpu->partition))
        khs_site_add(cpu, pc, length, true);
}

/* Where there are more of them than anybody writes, what is left stays with the twin. */
void khs_x86_prepare(khs_cpu *cpu)
{
    uint64_t pc = cpu->unknown_from;
    const uint8_t *entry = entry_at(cpu, pc);
    uc_hook hook;
    if (entry != NULL && (*entry & PORT)) {
        prepare_port(cpu, pc, *entry & LENGTH);
        return;
    }
    if (entry == NULL || !(*entry & HOOKED) || cpu->hooked_count == KHS_HOOKED)
        return;
    if (uc_hook_add(cpu->main, &hook, UC_HOOK_CODE, (void *)on_hooked, cpu, pc, pc) == UC_ERR_OK &&
        uc_ctl_remove_cache(cpu->main, pc, pc + 1) == UC_ERR_OK)
        cpu->hooked[cpu->hooked_count++] = pc;
}

/* ------------------------------------------------------------ walks */

uint64_t khs_x86_walk(khs_cpu *cpu, uint64_t from, uint64_t to, uint32_t *count)
{
    for (*count = 0; from < to; ++*count) {
        const uint8_t *entry = entry_at(cpu, from);
        if (entry == NULL || *entry == 0 || ((*entry & HOOKED) && !is_hooked(cpu, from)))
            break;
        from += *entry & LENGTH;
    }
    return from;
}

uint64_t khs_x86_ending_at(khs_cpu *cpu, uint64_t end)
{
    uint64_t pc = cpu->now.pc;
    uint32_t length;
    while ((length = length_at(cpu, pc)) != 0 && pc + length < end)
        pc += length;
    return pc;
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

bool khs_x86_restarts(khs_cpu *cpu, uint64_t pc, uint64_t end)
{
    for (uint32_t length; pc < end && (length = length_at(cpu, pc)) != 0; pc += length) {
        uint8_t code[KHS_X86_FETCHED];
        fetch(cpu, pc, code);
        if (!khs_x86_may_restart(khs_x86_opcode(code, is_wide(cpu))))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------ the twin's hook */

/* An instruction that reaches into another region, which may not lie there for everybody
 * who shares this one, stays unknown. */
static void learn(khs_cpu *cpu, uint64_t pc, uint32_t size, uint32_t rules)
{
    uint8_t *entry = entry_at(cpu, pc);
    if (entry != NULL && cpu->code_size - (pc - cpu->code_start) >= size)
        *entry = (uint8_t)(size | (rules & KHS_X86_FIRST ? FIRST : 0) | (rules & KHS_X86_HOOKED ? HOOKED : 0) |
                           (rules & KHS_X86_PORT ? PORT : 0));
}

static bool owns_port(khs_cpu *cpu, uc_engine *uc, const uint8_t *code)
{
    const uint8_t in_dx = 0x08; /* of the opcode */
    const uint8_t *opcode = khs_x86_opcode(code, is_wide(cpu));
    uint16_t port = opcode[1];
    if (*opcode & in_dx)
        uc_reg_read(uc, UC_X86_REG_DX, &port);
    return khs_device_at_port(cpu, port, khs_x86_port_width(code, is_wide(cpu))) != NULL;
}

static uint32_t rules_of(khs_cpu *cpu, uc_engine *uc, uint64_t pc, uint32_t size, khs_latch *fault)
{
    uint8_t code[KHS_X86_FETCHED];
    if (size > KHS_X86_LONGEST)
        return 0; /* Unicorn tells no length of what is too long; it faults */
    fetch(cpu, pc, code);
    uint32_t rules = khs_x86_rules(code, is_wide(cpu), fault);
    if ((rules & KHS_X86_PORT) && owns_port(cpu, uc, code))
        rules = KHS_X86_PORT | KHS_X86_HOOKED;
    if (!(rules & (KHS_X86_REFUSED | KHS_X86_STEPPED)))
        learn(cpu, pc, size, rules);
    return rules;
}

bool khs_x86_admit(khs_cpu *cpu, uc_engine *uc, uint64_t pc, uint32_t size)
{
    const uint8_t *entry = entry_at(cpu, pc);
    khs_latch fault = {.pc = pc};
    if (entry != NULL && *entry != 0 && !(*entry & (FIRST | PORT)))
        return true;
    uint32_t rules = rules_of(cpu, uc, pc, size, &fault);
    if (rules & KHS_X86_REFUSED)
        khs_latch_fault(cpu, uc, &fault, false);
    else if (!(rules & KHS_X86_FIRST) || cpu->left == cpu->given)
        return true;
    else
        uc_emu_stop(uc);
    return false;
}
