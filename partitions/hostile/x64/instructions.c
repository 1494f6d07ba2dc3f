/* Instructions of x64 that a partition may not use. */
#include "hostile.h"

#define INSTRUCTION(name, text)                                                                     \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        __asm__ volatile(text : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc");  \
        return passed();                                                                            \
    }
#define ACCUMULATOR "%%rax"
#define STACK "%%rsp"

#include "x86_common.h"

INSTRUCTION(ins, "movl $0x1f0, %%edx\n\tmovq %%rsp, %%rdi\n\tinsb")
INSTRUCTION(outs, "movl $0x3f8, %%edx\n\tmovq %%rsp, %%rsi\n\toutsb")
INSTRUCTION(swapgs, "swapgs")
INSTRUCTION(sysret, "sysretq")
INSTRUCTION(read_fs_base, ".byte 0xf3, 0x48, 0x0f, 0xae, 0xc0")
/* Into 32-bit code: the board's descriptors hold none for partitions. */
INSTRUCTION(far_jump, "pushq $8\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:")
INSTRUCTION(iret_to_kernel, "pushq $0x10\n\tpushq %%rsp\n\tpushf\n\tpushq $8\n\tpushq $0\n\tiretq")
INSTRUCTION(other_trap, "int $0x80") /* of another architecture */

/* The test puts an instruction here that no program may hold, and the program is refused. */
INSTRUCTION(patch, ".globl hostile_patch\nhostile_patch:\n\t.fill 16, 1, 0x90")

const struct hostile_case instruction_cases[] = {
    COMMON_CASES,
    { "ins", ins },
    { "outs", outs },
    { "swapgs", swapgs },
    { "sysret", sysret },
    { "read-fs-base", read_fs_base },
    { "far-jump", far_jump },
    { "iret-to-kernel", iret_to_kernel },
    { "other-trap", other_trap },
    { "patch", patch },
    { NULL, NULL },
};
