/* Freestanding byte moves, in parts that compilers turn into a few accesses. */
#include "internal.h"

void khs_copy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; size >= 32; t += 32, f += 32, size -= 32)
        __builtin_memcpy(t, f, 32);
    for (; size >= 8; t += 8, f += 8, size -= 8)
        __builtin_memcpy(t, f, 8);
    for (; size; t++, f++, size--)
        *t = *f;
}

void khs_zero(void *to, size_t size)
{
    static const uint64_t zero[4];
    uint8_t *t = to;
    for (; size >= 32; t += 32, size -= 32)
        __builtin_memcpy(t, zero, 32);
    for (; size >= 8; t += 8, size -= 8)
        __builtin_memcpy(t, zero, 8);
    for (; size; t++, size--)
        *t = 0;
}
