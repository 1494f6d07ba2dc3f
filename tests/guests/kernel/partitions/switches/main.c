/* Major frames of several lengths: to schedule `fast` at once, and back after two of its frames.
 * Then the policy is asked for something, window by window. */
#include <khs/khs.h>

void main(void)
{
    khs_ready();
    khs_schedule_switch(khs_schedule("fast"));
    khs_wait();
    khs_wait();
    khs_schedule_switch(khs_schedule("normal"));
    for (;;) {
        khs_print("frame\n");
        khs_wait();
    }
}
