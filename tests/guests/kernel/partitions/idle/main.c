/* Ready, and nothing else. */
#include <khs/khs.h>

void main(void)
{
    khs_ready();
    for (;;)
        khs_wait();
}
