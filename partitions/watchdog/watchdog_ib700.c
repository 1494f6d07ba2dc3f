/* iB700, the watchdog of ISA single-board computers, behind I/O ports; it does not warn. */
#if defined(__i386__) || defined(__x86_64__)
#include "watchdog.h"

enum { DISABLE = 0, ENABLE = 2 };

static uint16_t base;
static uint8_t time;

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"((uint16_t)(base + port)));
}

bool watchdog_has_expired(const struct khs_start_device *device)
{
    (void)device;
    return false;
}

void watchdog_open(const struct khs_start_device *device, uint32_t seconds)
{
    base = (uint16_t)device->address;
    time = (uint8_t)(15 - seconds / 2); /* 0 is 30 seconds, and each more two less */
    watchdog_serve();
}

void watchdog_serve(void) { out(ENABLE, time); }

void watchdog_quit(void) {}
#endif
