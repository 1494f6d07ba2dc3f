/* The guest's processor: ARM Architecture Reference Manual ARMv7-A, B1.8 (exceptions) and
 * B3.13 (fault status). */
#include "../common/board.h"
#include "trap.h"

#define CPSR_USER 0x10u
#define CPSR_THUMB 0x20u

/* FSR.FS of the short descriptor format */
#define FS_ALIGNMENT 0x01u
#define FS_DEBUG 0x02u
#define DFSR_WRITE 0x800u

uint32_t cpu_enter(cpu_context *context);
_Noreturn void kernel_trapped(uint32_t vector, uint32_t pc);

const uint8_t cpu_nop_code[] = {0x00, 0xf0, 0x20, 0xe3};
const uint32_t cpu_nop_size = sizeof cpu_nop_code;
const uint8_t cpu_trap_code[] = {0x00, 0x00, 0x00, 0xef}; /* svc #0 */
const uint32_t cpu_trap_size = sizeof cpu_trap_code;

static uint32_t fault_status(uint32_t fsr) { return (fsr & 0xfu) | (fsr >> 6 & 0x10u); }

void cpu_start(cpu_context *context, uint64_t entry, uint64_t sp, uint64_t argument)
{
    *context = (cpu_context){.pc = (uint32_t)entry & ~1u, .cpsr = CPSR_USER};
    if (entry & 1)
        context->cpsr |= CPSR_THUMB; /* is answered with a fault before it runs */
    context->r[0] = (uint32_t)argument;
    context->r[13] = (uint32_t)sp & ~15u;
}

void cpu_interrupt(cpu_context *context, uint64_t handler, uint32_t irq)
{
    context->r[0] = irq;
    context->r[13] &= ~15u;
    context->pc = (uint32_t)handler & ~1u;
    context->cpsr = CPSR_USER | (handler & 1 ? CPSR_THUMB : 0);
}

/* Arguments are in registers. */
uint32_t cpu_call_frame(const cpu_context *context, uint64_t argument, uint32_t frame[2], uint64_t *sp)
{
    (void)context, (void)argument, (void)frame, (void)sp;
    return 0;
}

uint64_t cpu_pc(const cpu_context *context) { return context->pc; }

static trap fault_of(uint32_t fault, uint32_t detail, uint32_t pc, uint32_t address)
{
    return (trap){.kind = TRAP_FAULT, .fault = fault, .detail = detail, .pc = pc, .address = address};
}

/* The one hypercall is `svc #0`. */
static trap supervisor_call(const cpu_context *context)
{
    uint32_t comment = *(const uint32_t *)(uintptr_t)(context->pc - 4u) & 0xffffffu;
    if (comment == 0)
        return trap_of(TRAP_HYPERCALL);
    return fault_of(KHS_FAULT_TRAP, comment, context->pc - 4u, 0);
}

static trap data_abort(const cpu_context *context)
{
    uint32_t status, address;
    __asm__ volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(status));
    __asm__ volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(address));
    if (fault_status(status) == FS_ALIGNMENT)
        return fault_of(KHS_FAULT_ALIGNMENT, 0, context->pc, address);
    return fault_of(status & DFSR_WRITE ? KHS_FAULT_WRITE : KHS_FAULT_READ, 0, context->pc, address);
}

static trap prefetch_abort(const cpu_context *context)
{
    uint32_t status;
    __asm__ volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(status));
    if (fault_status(status) == FS_DEBUG)
        return fault_of(KHS_FAULT_BREAKPOINT, 0, context->pc, 0);
    return fault_of(KHS_FAULT_EXECUTE, 0, context->pc, context->pc);
}

static trap exception(cpu_context *context, uint32_t vector)
{
    if (context->cpsr & CPSR_THUMB)
        return fault_of(KHS_FAULT_ISA, 0, context->pc, context->pc);
    switch (vector) {
    case VECTOR_SUPERVISOR: return supervisor_call(context);
    case VECTOR_PREFETCH: return prefetch_abort(context);
    case VECTOR_DATA: return data_abort(context);
    default: context->pc -= 4; return fault_of(KHS_FAULT_UNDEFINED, 0, context->pc, 0);
    }
}

uint32_t cpu_trap_number(const uint8_t code[2], uint32_t told)
{
    (void)code;
    return told;
}

trap cpu_run(cpu_context *context, uint32_t counts)
{
    if (context->cpsr & CPSR_THUMB)
        return fault_of(KHS_FAULT_ISA, 0, context->pc, context->pc);
    board_timer_start(counts);
    for (bool late = false;; late = true) {
        uint32_t entered = board_clock();
        uint32_t vector = cpu_enter(context), cycles = board_clock() - entered;
        uint32_t line = vector == VECTOR_INTERRUPT ? board_interrupt() : BOARD_TIMER;
        if (line == BOARD_NOTHING)
            continue; /* it came while the kernel was on its way: the guest has executed nothing */
        board_timer_stop();
        trap t = vector != VECTOR_INTERRUPT ? exception(context, vector)
                 : line == BOARD_TIMER      ? trap_of(TRAP_TIMER)
                                            : (trap){.kind = TRAP_DEVICE, .fault = line};
        t.cycles = cycles;
        t.late = late;
        return t;
    }
}

void cpu_save_vector(cpu_vector *vector)
{
    __asm__ volatile("mrc p15, 0, %0, c13, c0, 2" : "=r"(vector->thread)); /* TPIDRURW */
    void *at = vector;
    __asm__ volatile(".fpu neon\n vstmia %0!, {d0-d15}\n vstmia %0!, {d16-d31}\n vmrs r1, fpscr\n str r1, [%0]"
                     : "+r"(at) : : "r1", "memory");
}

void cpu_load_vector(const cpu_vector *vector)
{
    __asm__ volatile("mcr p15, 0, %0, c13, c0, 2" : : "r"(vector->thread));
    const void *at = vector;
    __asm__ volatile(".fpu neon\n vldmia %0!, {d0-d15}\n vldmia %0!, {d16-d31}\n ldr r1, [%0]\n vmsr fpscr, r1"
                     : "+r"(at) : : "r1", "memory");
}

void kernel_trapped(uint32_t vector, uint32_t pc)
{
    (void)vector;
    firmware_fail("the kernel trapped at", pc);
}
