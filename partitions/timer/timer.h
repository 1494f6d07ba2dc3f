/* One periodic interrupt, whatever the timer's make: timer_epit.c and timer_8254.c. */
#ifndef TIMER_H
#define TIMER_H

#include <khs/khs.h>

/* No interrupt any more. */
void timer_stop(const struct khs_start_device *device);
/* An interrupt every `us` microseconds, up to 50,000, from now on. */
void timer_open(const struct khs_start_device *device, uint32_t us);
/* To be called once in the handler of each. */
void timer_quit(void);

#endif
