/* Has nothing to do with the others: computes, says so now and then, and keeps its deadline.
 * Whatever a neighbour does, this partition's own trace stays the same, byte for byte. */
#include <khs/khs.h>

enum { WORK = 2000, SAY_PERIODS = 10 };

static uint32_t work(uint32_t value)
{
    for (uint32_t i = 0; i < WORK; i++)
        value = value * 1664525u + 1013904223u;
    return value;
}

void main(void)
{
    uint32_t value = 1;
    khs_ready();
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        value = work(value);
        if (period % SAY_PERIODS == 0)
            khs_print("period %u at %u us: %08x\n", period, (uint32_t)(khs_now_ns() / 1000), value);
    }
}
