/* Enhanced Periodic Interrupt Timer (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 24). */
#ifdef __arm__
#include "timer.h"

enum { CONTROL = 0x00, STATUS = 0x04, LOAD = 0x08, COMPARE = 0x0c };

#define CONTROL_ON 0x0000000fu    /* from the load register, which it reloads, with interrupts */
#define CONTROL_CLOCK 0x01000000u /* ipg_clk */
#define CLOCK_MHZ 66u

static uintptr_t base;

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

void timer_stop(const struct khs_start_device *device)
{
    base = (uintptr_t)device->address;
    *at(CONTROL) = 0;
    timer_quit();
}

void timer_open(const struct khs_start_device *device, uint32_t us)
{
    timer_stop(device);
    *at(LOAD) = us * CLOCK_MHZ - 1;
    *at(COMPARE) = 0;
    *at(CONTROL) = CONTROL_CLOCK | CONTROL_ON;
}

void timer_quit(void) { *at(STATUS) = 1; }
#endif
