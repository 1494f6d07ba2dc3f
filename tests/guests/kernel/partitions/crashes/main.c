/* Faults as soon as it is ready. */
#include <khs/khs.h>

void main(void)
{
    khs_ready();
    *(volatile uint32_t *)16 = 1;
    khs_print("goes on\n");
}
