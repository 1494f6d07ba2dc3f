/* Reads, writes and executes what it has no right to. */
#include "hostile.h"

static const uint32_t constant = 7;
static uint32_t variable = 7;

/* An address the compiler knows nothing about: it would leave out what must go wrong. */
static uintptr_t unknown(uintptr_t address)
{
    __asm__ volatile("" : "+r"(address));
    return address;
}

static khs_result read_at(uintptr_t address)
{
    volatile uint32_t value = *(const volatile uint32_t *)unknown(address);
    return (khs_result){ KHS_CODE_OK, value };
}

static khs_result write_at(uintptr_t address)
{
    *(volatile uint32_t *)unknown(address) = 1;
    return passed();
}

static khs_result execute_at(uintptr_t address)
{
    ((void (*)(void))unknown(address))();
    return passed();
}


#define CASE(name, expression)                                                                      \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        return expression;                                                                          \
    }

CASE(read_null, read_at(0))
CASE(read_unmapped, read_at(UNMAPPED_ADDRESS))
CASE(read_kernel, read_at(KERNEL_ADDRESS))
CASE(read_top, read_at(UINTPTR_MAX - 3))
CASE(read_wrapping, read_at(UINTPTR_MAX - 1))
CASE(read_neighbour, read_at((uintptr_t)ends.readable + 0x100000))
CASE(read_below_guard, read_at(0x47000000))
CASE(write_null, write_at(0))
CASE(write_unmapped, write_at(UNMAPPED_ADDRESS))
CASE(write_kernel, write_at(KERNEL_ADDRESS))
CASE(write_code, write_at((uintptr_t)write_at & ~(uintptr_t)3))
CASE(write_constant, write_at((uintptr_t)&constant))
CASE(write_start_info, write_at((uintptr_t)khs_start))
CASE(write_readable_region, write_at((uintptr_t)ends.readable))
CASE(write_over_the_edge, write_at((uintptr_t)ends.shared + 4096 - 2))
CASE(execute_null, execute_at(0))
CASE(execute_unmapped, execute_at(UNMAPPED_ADDRESS))
CASE(execute_kernel, execute_at(KERNEL_ADDRESS))
CASE(execute_variable, execute_at((uintptr_t)&variable))
CASE(execute_constant, execute_at((uintptr_t)&constant))
CASE(execute_shared, execute_at((uintptr_t)ends.shared))
CASE(execute_start_info, execute_at((uintptr_t)khs_start))
CASE(execute_heap, execute_at((uintptr_t)khs_heap(NULL)))

static khs_result execute_stack(void)
{
    volatile uint32_t here[4] = { 0 };
    return execute_at((uintptr_t)&here);
}

/* Behind the last instruction lies a trap word, so that running on never looks like data. */
static khs_result run_off_the_end(void)
{
    extern const char khs_code_end[];
    return execute_at((uintptr_t)khs_code_end);
}

static volatile bool enough;

static uint32_t deeper(uint32_t n)
{
    volatile uint32_t room[64];
    room[n % 64] = n;
    return enough ? n : deeper(n + 1) + room[n % 64];
}

static khs_result overflow_stack(void)
{
    return (khs_result){ KHS_CODE_OK, deeper(0) };
}

/* Sets the stack pointer where nothing is and makes a hypercall: the kernel does not mind. */
static khs_result trap_without_stack(void)
{
#if defined(__arm__)
    register uint32_t r7 __asm__("r7") = KHS_HC_NOP;
    __asm__ volatile("mov r4, sp\n\tmov sp, #0\n\tsvc #0\n\tmov sp, r4" : : "r"(r7) : "r0", "r1", "r4", "memory");
#elif defined(__x86_64__)
    uint64_t rax = KHS_HC_NOP;
    __asm__ volatile("movq %%rsp, %%r12\n\txorl %%esp, %%esp\n\tsyscall\n\tmovq %%r12, %%rsp"
                     : "+a"(rax) : : "rcx", "r11", "r12", "rdx", "memory");
#else
    uint32_t eax = KHS_HC_NOP;
    __asm__ volatile("movl %%esp, %%esi\n\txorl %%esp, %%esp\n\tint $0x80\n\tmovl %%esi, %%esp"
                     : "+a"(eax) : : "esi", "edx", "memory");
#endif
    return passed();
}

#if defined(__x86_64__)
CASE(read_kernel_half, read_at(0xffff800000000000u))
CASE(read_non_canonical, read_at(0x0000800000000000u))
/* An address with high bits on top of a mapped one must not be taken for it. */
CASE(read_alias, read_at(0x8000000000000000u | (uintptr_t)&variable))
CASE(execute_non_canonical, execute_at(0x0000800000000000u))
#endif

#if defined(__i386__) || defined(__x86_64__)
/* One instruction that would take years: preempted in the middle, and stopped by its first fault. */
static khs_result fill_everything(void)
{
    size_t size;
    void *heap = khs_heap(&size);
    size_t count = 0x7fffffff;
    __asm__ volatile("rep stosb" : "+D"(heap), "+c"(count) : "a"(0) : "memory");
    return passed();
}
#endif

const struct hostile_case memory_cases[] = {
    { "read-null", read_null },
    { "read-unmapped", read_unmapped },
    { "read-kernel", read_kernel },
    { "read-top", read_top },
    { "read-wrapping", read_wrapping },
    { "read-neighbour", read_neighbour },
    { "read-below-guard", read_below_guard },
    { "write-null", write_null },
    { "write-unmapped", write_unmapped },
    { "write-kernel", write_kernel },
    { "write-code", write_code },
    { "write-constant", write_constant },
    { "write-start-info", write_start_info },
    { "write-readable-region", write_readable_region },
    { "write-over-the-edge", write_over_the_edge },
    { "execute-null", execute_null },
    { "execute-unmapped", execute_unmapped },
    { "execute-kernel", execute_kernel },
    { "execute-variable", execute_variable },
    { "execute-constant", execute_constant },
    { "execute-shared", execute_shared },
    { "execute-start-info", execute_start_info },
    { "execute-heap", execute_heap },
    { "execute-stack", execute_stack },
    { "run-off-the-end", run_off_the_end },
    { "overflow-stack", overflow_stack },
    { "trap-without-stack", trap_without_stack },
#if defined(__x86_64__)
    { "read-kernel-half", read_kernel_half },
    { "read-non-canonical", read_non_canonical },
    { "read-alias", read_alias },
    { "execute-non-canonical", execute_non_canonical },
#endif
#if defined(__i386__) || defined(__x86_64__)
    { "fill-everything", fill_everything },
#endif
    { NULL, NULL },
};
