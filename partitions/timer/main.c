/* Counts the interrupts of a timer of its own, a hundred a second, and says so at every twentieth. The
 * first argument names the device. It starts the timer in the middle of a window, so that no interrupt
 * comes just when a window begins: whether that ends one wait or two would be a matter of nanoseconds. */
#include "timer.h"

enum { START_US = 1000, PERIOD_US = 10000, SAY = 20 };

static const struct khs_start_device *device;
static volatile uint32_t count;
static volatile bool runs;

static void handle(uint32_t irq)
{
    if (irq == KHS_IRQ_TIMER) {
        timer_open(device, PERIOD_US);
        runs = true;
    } else {
        timer_quit();
        count += runs; /* a PC's timer was on already */
    }
}

void main(void)
{
    device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    timer_stop(device);
    khs_interrupts(handle, 0);
    khs_timer_set(START_US, 0);
    khs_ready();
    for (uint32_t wanted = SAY;; wanted += SAY) {
        while (count < wanted)
            khs_wait();
        khs_print("%u interrupts\n", wanted);
    }
}
