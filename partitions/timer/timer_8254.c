/* Channel 0 of an 8254 (Intel 8254 data sheet) behind I/O ports. */
#if defined(__i386__) || defined(__x86_64__)
#include "timer.h"

enum { COUNTER = 0, COMMAND = 3 };

#define RATE 0x34u /* channel 0, low byte and high byte, mode 2 */
#define CLOCK_HZ 1193182u

static uint16_t base;

static void out(uint16_t port, uint32_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)value), "Nd"((uint16_t)(base + port)));
}

void timer_stop(const struct khs_start_device *device)
{
    base = (uint16_t)device->address;
    out(COMMAND, RATE); /* and no count: OUT stays high, as between two interrupts */
}

void timer_open(const struct khs_start_device *device, uint32_t us)
{
    uint32_t count = (uint32_t)(((uint64_t)us * CLOCK_HZ + 999999u) / 1000000u);
    base = (uint16_t)device->address;
    out(COMMAND, RATE);
    out(COUNTER, count);
    out(COUNTER, count >> 8);
}

void timer_quit(void) {} /* an edge: there is nothing to clear */
#endif
