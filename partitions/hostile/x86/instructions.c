/* Instructions of x86 that a partition may not use. */
#include "hostile.h"

#define INSTRUCTION(name, text)                                                                     \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        __asm__ volatile(text : : : "eax", "ebx", "ecx", "edx", "esi", "edi", "memory", "cc");                    \
        return passed();                                                                            \
    }
#define ACCUMULATOR "%%eax"
#define STACK "%%esp"

#include "x86_common.h"

INSTRUCTION(ins, "movl $0x1f0, %%edx\n\tmovl %%esp, %%edi\n\tinsb")
INSTRUCTION(outs, "movl $0x3f8, %%edx\n\tmovl %%esp, %%esi\n\toutsb")
INSTRUCTION(far_jump, "ljmp $8, $0")
INSTRUCTION(iret_to_kernel, "pushf\n\tpushl $8\n\tpushl $0\n\tiret")
INSTRUCTION(other_trap, "syscall") /* of another architecture */

/* The test puts an instruction here that no program may hold, and the program is refused. */
INSTRUCTION(patch, ".globl hostile_patch\nhostile_patch:\n\t.fill 16, 1, 0x90")

const struct hostile_case instruction_cases[] = {
    COMMON_CASES,
    { "ins", ins },
    { "outs", outs },
    { "far-jump", far_jump },
    { "iret-to-kernel", iret_to_kernel },
    { "other-trap", other_trap },
    { "patch", patch },
    { NULL, NULL },
};
