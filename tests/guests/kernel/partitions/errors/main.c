/* A handler of its own errors: says which it was told of. The second period takes too long, the
 * third reports an error of the application. */
#include <khs/khs.h>

enum { TOO_LONG = 70000 };

static void on_interrupt(uint32_t irq)
{
    struct khs_error_status status;
    while (irq == KHS_IRQ_ERROR && khs_error_status(&status).code == KHS_CODE_OK)
        khs_print("error %u detail %u lost %u at %u us: %s\n", status.error, status.detail, status.lost,
                  (uint32_t)(status.time_ns / 1000), (const char *)status.text);
}

void main(void)
{
    khs_interrupts(on_interrupt, 0);
    khs_ready();
    for (uint32_t period = 1;; period++) {
        khs_period_wait();
        for (volatile uint32_t i = 0; period == 2 && i < TOO_LONG; i = i + 1)
            ;
        if (period == 3)
            khs_error_raise(42, "too hot", 8);
    }
}
