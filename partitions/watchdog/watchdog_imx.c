/* i.MX WDOG (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 70). It warns half a second
 * before it expires. */
#ifdef __arm__
#include "watchdog.h"

enum { CONTROL = 0x0, SERVICE = 0x2, CAUSE = 0x4, WARNING = 0x6, POWER_DOWN = 0x8 };

#define CONTROL_ON 0x0034u /* WDE; neither a reset nor a signal now */
#define CAUSE_EXPIRED 0x0002u
#define WARNING_ON 0x8001u
#define WARNING_STATUS 0x4000u

static uintptr_t base;

static volatile uint16_t *at(uint32_t offset) { return (volatile uint16_t *)(base + offset); }

bool watchdog_has_expired(const struct khs_start_device *device)
{
    base = (uintptr_t)device->address;
    return *at(CAUSE) & CAUSE_EXPIRED;
}

void watchdog_open(const struct khs_start_device *device, uint32_t seconds)
{
    base = (uintptr_t)device->address;
    *at(POWER_DOWN) = 0;
    *at(WARNING) = WARNING_ON;
    *at(CONTROL) = (uint16_t)((2 * seconds - 1) << 8 | CONTROL_ON);
}

void watchdog_serve(void)
{
    *at(SERVICE) = 0x5555;
    *at(SERVICE) = 0xaaaa;
}

void watchdog_quit(void) { *at(WARNING) = WARNING_ON | WARNING_STATUS; }
#endif
