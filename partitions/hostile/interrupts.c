/* Virtual interrupts as a weapon, against itself at most. */
#include "hostile.h"

static volatile uint32_t taken;

static void count(uint32_t irq)
{
    taken += irq == KHS_IRQ_TIMER;
}

static khs_result return_without_interrupt(void)
{
    return khs_interrupt_return();
}

static khs_result handler_in_data(void)
{
    static uint32_t data;
    return khs_interrupt_attach((uintptr_t)&data, 0);
}

static khs_result handler_in_kernel(void)
{
    return khs_interrupt_attach(KERNEL_ADDRESS, 0);
}

static khs_result handler_with_unknown_flags(void)
{
    return khs_interrupt_attach(0, 0xfffffffe);
}

static khs_result with_timer(uint32_t period_us)
{
    khs_interrupts(count, 0);
    khs_timer_set(period_us, period_us);
    pass_time(3);
    khs_timer_set(0, 0);
    return (khs_result){ KHS_CODE_OK, taken };
}

/* An ordinary timer, once a millisecond: shows that the others fail for what they do. */
static khs_result timer(void)
{
    khs_result r = with_timer(1000);
    return (khs_result){ r.code, r.value > 1 };
}

/* It fires before its handler is done: the partition gets nothing done, its neighbours do. */
static khs_result timer_flood(void)
{
    return with_timer(1);
}

/* A handler that never returns keeps later interrupts away from nobody but itself. */
static void stay(uint32_t irq)
{
    (void)irq;
    for (;;)
        taken = taken + 1;
}

static khs_result handler_that_stays(void)
{
    khs_interrupts(stay, 0);
    khs_timer_set(1000, 1000);
    for (;;)
        ;
}

/* The stack pointer is wild when the interrupt comes. */
static khs_result interrupt_without_stack(void)
{
    khs_interrupts(count, 0);
    khs_timer_set(1000, 0);
#if defined(__arm__)
    __asm__ volatile("mov sp, #0x1000\n1:\tb 1b" : : : "memory");
#elif defined(__x86_64__)
    __asm__ volatile("movl $0x1000, %%esp\n1:\tjmp 1b" : : : "memory");
#else
    __asm__ volatile("movl $0x1000, %%esp\n1:\tjmp 1b" : : : "memory");
#endif
    return passed();
}

const struct hostile_case interrupt_cases[] = {
    { "return-without-interrupt", return_without_interrupt },
    { "handler-in-data", handler_in_data },
    { "handler-in-kernel", handler_in_kernel },
    { "handler-with-unknown-flags", handler_with_unknown_flags },
    { "timer", timer },
    { "timer-flood", timer_flood },
    { "handler-that-stays", handler_that_stays },
    { "interrupt-without-stack", interrupt_without_stack },
    { NULL, NULL },
};
