/* Is there to be written to. */
#include <khs/khs.h>

void main(void)
{
    khs_ready();
    for (;;)
        khs_wait();
}
