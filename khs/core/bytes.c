/* Freestanding byte moves. */
#include "internal.h"

void khs_copy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (size_t i = 0; i < size; i++)
        t[i] = f[i];
}

void khs_zero(void *to, size_t size)
{
    uint8_t *t = to;
    for (size_t i = 0; i < size; i++)
        t[i] = 0;
}
