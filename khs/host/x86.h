/* What is particular to x86. Part of internal.h. */
#ifndef KHS_HOST_X86_H
#define KHS_HOST_X86_H

/* x86: ring 3, flat segments, empty descriptor tables, SSE on, clock and I/O trapped. */
#define KHS_X86_EFLAGS 0x202u
bool khs_x86_user_mode(uc_engine *uc, bool wide);

/* x86_code.c: lengths of instructions, as the engine told them. */
#define KHS_X86_LONGEST 15u
/* The twin is about to run an instruction, which is learned if it is new. False if that must
 * not be, or not yet; then the engine stops before it. */
bool khs_x86_admit(khs_cpu *cpu, uc_engine *uc, uint64_t pc, uint32_t size);
/* The first byte behind the prefixes. */
uint8_t khs_x86_opcode_at(khs_cpu *cpu, uint64_t pc);
/* From one known instruction to the next until `to` is reached: where that ends, and over
 * how many it went. */
uint64_t khs_x86_walk(khs_cpu *cpu, uint64_t from, uint64_t to, uint32_t *count);
/* The instruction of the current block that ends at `end`. */
uint64_t khs_x86_ending_at(khs_cpu *cpu, uint64_t end);
/* Gives the instruction that kept a block from being known the hook that it needs. */
void khs_x86_prepare(khs_cpu *cpu);
/* Flags would have another form where a hook precedes an instruction that minds it. */
bool khs_x86_may_hook(khs_cpu *cpu, uint64_t pc);

/* Whether each instruction of a block can be begun again after an access to memory that the engine
 * refused: the flags of some are lost then. */
bool khs_x86_restarts(khs_cpu *cpu, uint64_t pc, uint64_t end);

/* x86_rules.c: what may become of an instruction, by its first bytes. The last of them may
 * be its opcode, then there are more to look at, which are none of its. */
#define KHS_X86_FETCHED (KHS_X86_LONGEST + 2u)
enum khs_x86_rule {
    KHS_X86_REFUSED = 1, /* never carried out; `fault` says as what */
    KHS_X86_STEPPED = 2, /* on the twin alone */
    KHS_X86_FIRST = 4,   /* on the twin only as the first after it was started */
    KHS_X86_HOOKED = 8,  /* on the main engine only with a hook of its own */
    KHS_X86_PORT = 16,   /* refused, unless the port belongs to a device of the partition */
};
uint32_t khs_x86_rules(const uint8_t *code, bool wide, khs_latch *fault);
const uint8_t *khs_x86_opcode(const uint8_t *code, bool wide);
bool khs_x86_may_restart(const uint8_t *opcode); /* see khs_x86_restarts */
/* Bytes that an `in` or `out` moves. */
uint32_t khs_x86_port_width(const uint8_t *code, bool wide);

#endif
