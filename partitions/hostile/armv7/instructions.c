/* Instructions of ARMv7 that a partition may not use, or may use without effect on anybody. */
#include "hostile.h"

#define INSTRUCTION(name, text)                                                                     \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        __asm__ volatile(text : : : "r0", "r1", "r2", "r3", "memory", "cc");                        \
        return passed();                                                                            \
    }

/* The system control coprocessor and what else takes a privileged mode. */
INSTRUCTION(read_control, "mrc p15, 0, r0, c1, c0, 0")
INSTRUCTION(write_translation, "mcr p15, 0, r0, c2, c0, 0")
INSTRUCTION(invalidate_tlb, "mcr p15, 0, r0, c8, c7, 0")
INSTRUCTION(invalidate_icache, "mcr p15, 0, r0, c7, c5, 0")
INSTRUCTION(read_spsr, "mrs r0, spsr")
INSTRUCTION(return_from_exception, "push {r0, r1}\n\tmov r2, sp\n\trfeia r2!")
INSTRUCTION(store_return_state, ".inst 0xf96d0513") /* srsdb sp!, #0x13 */
INSTRUCTION(load_user_registers, "sub r2, sp, #16\n\t.inst 0xe8f28001") /* ldm r2!, {r0, pc}^ */
INSTRUCTION(secure_monitor_call, ".inst 0xe1600070")
INSTRUCTION(hypervisor_call, ".inst 0xe1400070")
INSTRUCTION(read_fpexc, "vmrs r0, fpexc")

/* Silently without effect in user mode (ARM ARM B9.3: CPS, MSR). */
INSTRUCTION(change_mode, "cps #0x13")
INSTRUCTION(mask_interrupts, "cpsid if")
INSTRUCTION(write_mode, "mrs r0, cpsr\n\tbic r0, r0, #0x1f\n\torr r0, r0, #0x13\n\tmsr cpsr_c, r0")
INSTRUCTION(wait_for_interrupt, "wfi")

/* Clocks: what would make two runs differ. */
INSTRUCTION(read_cycle_counter, "mrc p15, 0, r0, c9, c13, 0")
INSTRUCTION(read_virtual_count, ".inst 0xec510f1e") /* mrrc p15, 1, r0, r1, c14 */
INSTRUCTION(enable_user_counters, "mov r0, #1\n\tmcr p15, 0, r0, c9, c14, 0")

/* Not of this processor. */
INSTRUCTION(divide_unsigned, ".inst 0xe730f110")
INSTRUCTION(divide_signed, ".inst 0xe710f110")
INSTRUCTION(undefined, "udf #0")
INSTRUCTION(breakpoint, "bkpt #0")
INSTRUCTION(thumb, "add r0, pc, #1\n\tbx r0\n\t.short 0xbf00, 0xbf00, 0x4778, 0x46c0")

/* A hypercall is `svc #0` and no other. */
INSTRUCTION(other_trap, "mov r7, #0\n\tsvc #0x123456")

/* Software divides: there is no instruction that could fault. */
static khs_result divide_by_zero(void)
{
    volatile uint32_t zero = 0, one = 1;
    return (khs_result){ KHS_CODE_OK, one / zero };
}

const struct hostile_case instruction_cases[] = {
    { "read-control", read_control },
    { "write-translation", write_translation },
    { "invalidate-tlb", invalidate_tlb },
    { "invalidate-icache", invalidate_icache },
    { "read-spsr", read_spsr },
    { "return-from-exception", return_from_exception },
    { "store-return-state", store_return_state },
    { "load-user-registers", load_user_registers },
    { "secure-monitor-call", secure_monitor_call },
    { "hypervisor-call", hypervisor_call },
    { "read-fpexc", read_fpexc },
    { "change-mode", change_mode },
    { "mask-interrupts", mask_interrupts },
    { "write-mode", write_mode },
    { "wait-for-interrupt", wait_for_interrupt },
    { "read-cycle-counter", read_cycle_counter },
    { "read-virtual-count", read_virtual_count },
    { "enable-user-counters", enable_user_counters },
    { "divide-unsigned", divide_unsigned },
    { "divide-signed", divide_signed },
    { "undefined", undefined },
    { "breakpoint", breakpoint },
    { "thumb", thumb },
    { "other-trap", other_trap },
    { "divide-by-zero", divide_by_zero },
    { NULL, NULL },
};
