/* Serves a watchdog of its own in every period; after HANG periods it hangs instead, and the watchdog
 * bites. The first argument names the device. */
#include "watchdog.h"

enum { SECONDS = 2, SAY_PERIODS = 50 };

static void warn(uint32_t irq)
{
    (void)irq;
    watchdog_quit();
    khs_print("the watchdog expires in half a second\n");
}

static void serve(uint32_t hang)
{
    for (uint32_t period = 0; period != hang; period++) {
        khs_period_wait();
        watchdog_serve();
        if (period % SAY_PERIODS == 0)
            khs_print("served %u times\n", period + 1);
    }
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    if (watchdog_has_expired(device))
        khs_print("the watchdog had expired\n");
    khs_interrupts(warn, 0);
    watchdog_open(device, SECONDS);
    khs_ready();
    serve(khs_env_number("HANG", UINT32_MAX));
    khs_print("hangs\n");
    for (;;) {
    }
}
