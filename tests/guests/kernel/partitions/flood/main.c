/* Makes up as much as it can that nobody made up before: hypercalls that are refused, messages that
 * are denied, output without an end of line. */
#include <khs/khs.h>

void main(void)
{
    khs_ready();
    for (uint32_t i = 1;; i++) {
        struct khs_hypercall unknown = { .number = 1000 + i };
        uint16_t message[8] = { 0, 0, (uint16_t)i, (uint16_t)(i >> 16) };
        khs_hypercall(&unknown);
        khs_partition_restart(i, i);
        khs_time_get((void *)(uintptr_t)(i * 16));
        khs_reply(i, message, sizeof message);
        khs_security(message, sizeof message);
        khs_print("%u ", i);
    }
}
