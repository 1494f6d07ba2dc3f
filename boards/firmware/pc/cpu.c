/* The guest's processor: Intel 64 and IA-32 Architectures Software Developer's Manual,
 * volume 3, chapters 5 (protection), 6 (interrupts) and 8 (task state). */
#include "../common/board.h"
#include "machine.h"
#include "pc.h"

#define FLAGS_START 0x202u /* interrupts on */

enum { DIVIDE = 0, DEBUG = 1, BREAKPOINT = 3, OVERFLOW = 4, UNDEFINED = 6, INVALID_TSS = 10, PROTECTION = 13,
       PAGE_FAULT = 14, X87_ERROR = 16, ALIGNMENT = 17, SIMD_ERROR = 19 };
#define PAGE_FAULT_WRITE 0x2u
#define PAGE_FAULT_FETCH 0x10u
/* Error code of a refused `int n`: n is the index of its gate. */
#define ERROR_EXTERNAL 0x1u
#define ERROR_GATE 0x2u

const uint8_t cpu_nop_code[] = {0x90};
const uint32_t cpu_nop_size = sizeof cpu_nop_code;

uintptr_t cpu_enter(cpu_context *context);
_Noreturn void kernel_trapped(uintptr_t vector, uintptr_t pc);

static trap fault_of(uint32_t fault, uint32_t detail, uint64_t pc, uint64_t address)
{
    return (trap){.kind = TRAP_FAULT, .fault = fault, .detail = detail, .pc = pc, .address = address};
}

static trap page_fault(const cpu_context *context)
{
    uintptr_t address = read_cr2();
    uint32_t fault = context->error & PAGE_FAULT_FETCH   ? KHS_FAULT_EXECUTE
                     : context->error & PAGE_FAULT_WRITE ? KHS_FAULT_WRITE
                                                         : KHS_FAULT_READ;
    return fault_of(fault, 0, context->ip, address);
}

static trap protection(const cpu_context *context)
{
    if ((context->error & (ERROR_GATE | ERROR_EXTERNAL)) == ERROR_GATE)
        return fault_of(KHS_FAULT_TRAP, (uint32_t)context->error >> 3, context->ip, 0);
    return fault_of(KHS_FAULT_PRIVILEGED, PROTECTION, context->ip, 0);
}

static trap exception(const cpu_context *context)
{
    uint32_t vector = (uint32_t)context->vector;
    switch (vector) {
    case VECTOR_HYPERCALL: return trap_of(TRAP_HYPERCALL);
    case DIVIDE:
    case X87_ERROR:
    case SIMD_ERROR: return fault_of(KHS_FAULT_DIVIDE, vector, context->ip, 0);
    case DEBUG: return fault_of(KHS_FAULT_BREAKPOINT, vector, context->ip, 0);
    case BREAKPOINT: return fault_of(KHS_FAULT_BREAKPOINT, vector, context->ip - 1, 0);
    case OVERFLOW: return fault_of(KHS_FAULT_TRAP, vector, context->ip - 1, 0);
    case UNDEFINED: return fault_of(KHS_FAULT_UNDEFINED, 0, context->ip, 0);
    case PAGE_FAULT: return page_fault(context);
    case PROTECTION: return protection(context);
    case ALIGNMENT: return fault_of(KHS_FAULT_ALIGNMENT, 0, context->ip, 0);
    default:
        return fault_of(vector >= INVALID_TSS && vector < PROTECTION ? KHS_FAULT_PRIVILEGED : KHS_FAULT_TRAP, vector,
                        context->ip, 0);
    }
}

/* The error code's unit is 8 on a CPU and, in long mode, 16 on QEMU: `int n` itself says it. */
uint32_t cpu_trap_number(const uint8_t code[2], uint32_t told) { return code[0] == 0xcd ? code[1] : told; }

trap cpu_run(cpu_context *context, uint32_t counts)
{
    pc_context(&context->ss + 1);
    board_timer_start(counts);
    for (bool late = false;; late = true) {
        uint32_t entered = board_clock();
        cpu_enter(context);
        uint32_t cycles = board_clock() - entered;
        bool interrupt = context->vector >= EXCEPTIONS && context->vector != VECTOR_HYPERCALL;
        uint32_t line = interrupt ? board_interrupt() : BOARD_TIMER;
        if (line == BOARD_NOTHING)
            continue; /* it came while the kernel was on its way: the guest has executed nothing */
        board_timer_stop();
        trap t = !interrupt            ? exception(context)
                 : line == BOARD_TIMER ? trap_of(TRAP_TIMER)
                                       : (trap){.kind = TRAP_DEVICE, .fault = line};
        t.cycles = cycles;
        t.late = late;
        return t;
    }
}

#ifdef __x86_64__
#define OTHER_SEGMENTS(move) move("ds", 0) move("es", 1) move("fs", 2) move("gs", 3)
#else /* trap.S keeps ds and es */
#define OTHER_SEGMENTS(move) move("fs", 2) move("gs", 3)
#endif

void cpu_save_vector(cpu_vector *vector)
{
#define SAVE(name, n) __asm__ volatile("mov %%" name ", %0" : "=m"(vector->segments[n]));
    OTHER_SEGMENTS(SAVE)
    __asm__ volatile("fxsave %0" : "=m"(*(uint8_t(*)[sizeof *vector])vector));
}

/* fxrstor may leave the addresses of the last x87 instruction and operand as they are. */
void cpu_load_vector(const cpu_vector *vector)
{
    __asm__ volatile("fninit\n fxrstor %0" : : "m"(*vector));
#define LOAD(name, n) __asm__ volatile("mov %0, %%" name : : "m"(vector->segments[n]));
    OTHER_SEGMENTS(LOAD)
}

void kernel_trapped(uintptr_t vector, uintptr_t pc)
{
    (void)vector;
    firmware_fail("the kernel trapped at", pc);
}

/* ------------------------------------------------------------ calling convention */

static void reset(cpu_context *context, uint64_t pc)
{
    context->ip = (uintptr_t)pc;
    context->flags = FLAGS_START;
}

#ifdef __x86_64__
const uint8_t cpu_trap_code[] = {0x0f, 0x05}; /* syscall */
#define RED_ZONE 128u

static void enter(cpu_context *context, uint64_t pc, uint64_t sp, uint64_t argument)
{
    reset(context, pc);
    context->sp = (sp & ~15ull) - 8;
    context->rdi = argument;
}

void cpu_interrupt(cpu_context *context, uint64_t handler, uint32_t irq)
{
    enter(context, handler, context->sp - RED_ZONE, irq);
}

/* As after a call from nowhere: a return address of 0 on an aligned stack. */
uint32_t cpu_call_frame(const cpu_context *context, uint64_t argument, uint32_t frame[2], uint64_t *sp)
{
    (void)argument;
    frame[0] = frame[1] = 0;
    *sp = context->sp;
    return 8;
}
#else
const uint8_t cpu_trap_code[] = {0xcd, VECTOR_HYPERCALL}; /* int 0x80 */

static void enter(cpu_context *context, uint64_t pc, uint64_t sp, uint64_t argument)
{
    reset(context, pc);
    context->sp = (((uint32_t)sp - 16u) & ~15u) - 4u;
    context->eax = (uint32_t)argument;
}

void cpu_interrupt(cpu_context *context, uint64_t handler, uint32_t irq)
{
    enter(context, handler, context->sp, irq);
}

/* As after a call from nowhere: a return address of 0 on an aligned stack, and the argument. */
uint32_t cpu_call_frame(const cpu_context *context, uint64_t argument, uint32_t frame[2], uint64_t *sp)
{
    frame[0] = 0;
    frame[1] = (uint32_t)argument;
    *sp = context->sp;
    return 8;
}
#endif

uint64_t cpu_pc(const cpu_context *context) { return context->ip; }

const uint32_t cpu_trap_size = sizeof cpu_trap_code;

void cpu_start(cpu_context *context, uint64_t entry, uint64_t sp, uint64_t argument)
{
    *context = (cpu_context){.cs = USER_CODE, .ss = USER_DATA};
#ifdef __i386__
    context->ds = context->es = USER_DATA;
#endif
    enter(context, entry, sp, argument);
}
