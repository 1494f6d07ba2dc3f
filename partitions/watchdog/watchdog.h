/* One watchdog, whatever its make: watchdog_imx.c and watchdog_ib700.c. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <khs/khs.h>

/* Whether it was this watchdog that ended the partition's last life; false if it cannot tell. */
bool watchdog_has_expired(const struct khs_start_device *device);
/* From now on it wants to be served every `seconds`, an even number. */
void watchdog_open(const struct khs_start_device *device, uint32_t seconds);
void watchdog_serve(void);
/* To be called in the handler of its warning. */
void watchdog_quit(void);

#endif
