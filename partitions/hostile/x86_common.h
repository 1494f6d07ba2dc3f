/* Instructions that x86 and x64 have in common and that a partition may not use, or may use
 * without effect on anybody. Bytes where the assembler would choose or refuse. */
#ifndef X86_COMMON_H
#define X86_COMMON_H

/* Instructions that need a privilege the partition has not. */
INSTRUCTION(cli, "cli")
INSTRUCTION(sti, "sti")
INSTRUCTION(hlt, "hlt")
INSTRUCTION(clts, "clts")
INSTRUCTION(read_cr0, "mov %%cr0, " ACCUMULATOR)
INSTRUCTION(write_cr3, "mov " ACCUMULATOR ", %%cr3")
INSTRUCTION(write_dr7, "mov " ACCUMULATOR ", %%dr7")
INSTRUCTION(rdmsr, "rdmsr")
INSTRUCTION(wrmsr, "wrmsr")
INSTRUCTION(wbinvd, "wbinvd")
INSTRUCTION(invlpg, "invlpg (" ACCUMULATOR ")")
INSTRUCTION(lgdt, "lgdt (" ACCUMULATOR ")")
INSTRUCTION(lidt, "lidt (" ACCUMULATOR ")")
INSTRUCTION(ltr, "movl $8, %%eax\n\tltr %%ax")
INSTRUCTION(lmsw, "lmsw %%ax")
INSTRUCTION(load_kernel_segment, "movl $8, %%eax\n\tmov %%ax, %%fs")

/* Ports. */
INSTRUCTION(in_byte, "movl $0x60, %%edx\n\tinb %%dx, %%al")
INSTRUCTION(in_immediate, "inl $0x40, %%eax")
INSTRUCTION(out_byte, "movl $0x64, %%edx\n\tmovl $0xfe, %%eax\n\toutb %%al, %%dx")

/* Clocks and chance: what would make two runs differ. */
INSTRUCTION(rdtsc, "rdtsc")
INSTRUCTION(rdtscp, "rdtscp")
INSTRUCTION(rdpmc, "rdpmc")
INSTRUCTION(rdrand, ".byte 0x0f, 0xc7, 0xf0")
INSTRUCTION(rdseed, ".byte 0x0f, 0xc7, 0xf8")
INSTRUCTION(rdpid, ".byte 0xf3, 0x0f, 0xc7, 0xf8")

/* Undefined. */
INSTRUCTION(ud2, "ud2")
INSTRUCTION(lock_nop, ".byte 0xf0, 0x90")
INSTRUCTION(lock_mov, ".byte 0xf0, 0x89, 0xc0")
INSTRUCTION(lock_xadd_register, ".byte 0xf0, 0x0f, 0xc1, 0xc0")
INSTRUCTION(movmskps_memory, ".byte 0x0f, 0x50, 0x00")
/* mov $0xd1ab0ff0, %eax, jumped into: lock bts %edx, %ecx, which QEMU cannot translate. */
INSTRUCTION(lock_bts_in_constant, ".byte 0xeb, 0x01, 0xb8, 0xf0, 0x0f, 0xab, 0xd1")
INSTRUCTION(vmcall, ".byte 0x0f, 0x01, 0xc1")
INSTRUCTION(monitor, ".byte 0x0f, 0x01, 0xc8")
INSTRUCTION(mwait, ".byte 0x0f, 0x01, 0xc9")
INSTRUCTION(xgetbv, ".byte 0x0f, 0x01, 0xd0")
INSTRUCTION(rsm, ".byte 0x0f, 0xaa")
INSTRUCTION(sysexit, ".byte 0x0f, 0x35")
INSTRUCTION(sysenter, ".byte 0x0f, 0x34")
INSTRUCTION(too_long, ".rept 15\n\t.byte 0x66\n\t.endr\n\tnop")

/* Traps nobody set up, among them the numbers of other exceptions. */
INSTRUCTION(int3, "int3")
INSTRUCTION(int1, ".byte 0xf1")
INSTRUCTION(int_invalid_opcode, "int $6")
INSTRUCTION(int_general_protection, "int $13")
INSTRUCTION(int_page_fault, "int $14")
INSTRUCTION(int_timer, "int $32")
INSTRUCTION(int_last, "int $255")

/* No privilege needed, nobody else affected. */
INSTRUCTION(cpuid, "xorl %%eax, %%eax\n\tcpuid")
INSTRUCTION(sgdt, "sub $16, " STACK "\n\tsgdt (" STACK ")\n\tadd $16, " STACK)
INSTRUCTION(sidt, "sub $16, " STACK "\n\tsidt (" STACK ")\n\tadd $16, " STACK)
INSTRUCTION(smsw, "smsw %%eax")
INSTRUCTION(str, "str %%eax")
INSTRUCTION(pause, "pause")
INSTRUCTION(set_direction, "std\n\tcld")
INSTRUCTION(set_alignment_check, "pushf\n\tpop " ACCUMULATOR "\n\tor $0x40000, %%eax\n\tpush " ACCUMULATOR
                                 "\n\tpopf\n\tand $~0x40000, %%eax\n\tpush " ACCUMULATOR "\n\tpopf")
/* The privilege bits of the flags stay as they are: a `popf` cannot raise the I/O level. */
INSTRUCTION(set_io_level, "pushf\n\tpop " ACCUMULATOR "\n\tor $0x3200, %%eax\n\tpush " ACCUMULATOR "\n\tpopf")
INSTRUCTION(set_trap_flag, "pushf\n\tpop " ACCUMULATOR "\n\tor $0x100, %%eax\n\tpush " ACCUMULATOR
                           "\n\tpopf\n\tnop")

/* What was stepped ends with the bytes of `int $1`. */
INSTRUCTION(step_constant, "pushf\n\tpop " ACCUMULATOR "\n\tor $0x100, %%eax\n\tpush " ACCUMULATOR
                           "\n\tpopf\n\tmovl $0x01cd0000, %%eax")
/* To the task that the processor would find in its task state. */
INSTRUCTION(iret_nested, "pushf\n\tpop " ACCUMULATOR "\n\tor $0x4000, %%eax\n\tpush " ACCUMULATOR
                         "\n\tpopf\n\tiret")

/* Floating point as a program may expect it at its start: see the psABI. */
static khs_result x87_control(void)
{
    unsigned short control;
    __asm__("fnstcw %0" : "=m"(control));
    return (khs_result){ KHS_CODE_OK, control };
}

static khs_result sse_control(void)
{
    unsigned control;
    __asm__("stmxcsr %0" : "=m"(control));
    return (khs_result){ KHS_CODE_OK, control };
}

/* A conversion to an integer changes the control word, and back. */
static khs_result long_double(void)
{
    volatile long double one = 1.0L, three = 3.0L, third = one / three;
    volatile int rounded = (int)(three / 2);
    return (khs_result){ KHS_CODE_OK, rounded == 1 && one / three == third && third * three == one &&
                                          third != (long double)(double)third };
}

/* mov $0x9090fed9, %eax, jumped into: fsin. */
INSTRUCTION(sine_in_constant, "fld1\n\t.byte 0xeb, 0x01, 0xb8, 0xd9, 0xfe, 0x90, 0x90\n\tfstp %%st(0)")

/* Division. */
INSTRUCTION(divide_by_zero, "xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\txorl %%edx, %%edx\n\tdivl %%ecx")
INSTRUCTION(divide_overflow, "movl $0x80000000, %%eax\n\tmovl $-1, %%edx\n\tmovl $-1, %%ecx\n\tidivl %%ecx")

#define COMMON_CASES                                                                                \
    { "cli", cli }, { "sti", sti }, { "hlt", hlt }, { "clts", clts }, { "read-cr0", read_cr0 },      \
    { "write-cr3", write_cr3 }, { "write-dr7", write_dr7 }, { "rdmsr", rdmsr },                      \
    { "wrmsr", wrmsr }, { "wbinvd", wbinvd }, { "invlpg", invlpg }, { "lgdt", lgdt },                \
    { "lidt", lidt }, { "ltr", ltr }, { "lmsw", lmsw },                                             \
    { "load-kernel-segment", load_kernel_segment }, { "in", in_byte },                              \
    { "in-immediate", in_immediate }, { "out", out_byte }, { "rdtsc", rdtsc },                       \
    { "rdtscp", rdtscp }, { "rdpmc", rdpmc }, { "rdrand", rdrand }, { "rdseed", rdseed },            \
    { "rdpid", rdpid }, { "undefined", ud2 }, { "lock-nop", lock_nop }, { "vmcall", vmcall },        \
    { "lock-mov", lock_mov }, { "lock-xadd-register", lock_xadd_register },                         \
    { "movmskps-memory", movmskps_memory }, { "int-invalid-opcode", int_invalid_opcode },            \
    { "step-constant", step_constant }, { "iret-nested", iret_nested },                             \
    { "x87-control", x87_control }, { "sse-control", sse_control },                                 \
    { "long-double", long_double }, { "sine-in-constant", sine_in_constant },                       \
    { "lock-bts-in-constant", lock_bts_in_constant },                                               \
    { "monitor", monitor }, { "mwait", mwait }, { "xgetbv", xgetbv }, { "rsm", rsm },                \
    { "sysexit", sysexit }, { "sysenter", sysenter }, { "too-long", too_long },                      \
    { "breakpoint", int3 }, { "int1", int1 },                                                       \
    { "int-general-protection", int_general_protection }, { "int-page-fault", int_page_fault },      \
    { "int-timer", int_timer }, { "int-last", int_last }, { "cpuid", cpuid }, { "sgdt", sgdt },      \
    { "sidt", sidt }, { "smsw", smsw }, { "str", str }, { "pause", pause },                          \
    { "set-direction", set_direction }, { "set-alignment-check", set_alignment_check },              \
    { "set-io-level", set_io_level }, { "set-trap-flag", set_trap_flag },                            \
    { "divide-by-zero", divide_by_zero }, { "divide-overflow", divide_overflow }

#endif
