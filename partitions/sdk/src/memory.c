/* Memory functions: programs call them, and so do compilers unasked.
 * SPDX-License-Identifier: MIT */
#include <khs/string.h>
#include <stdint.h>

typedef uintptr_t word __attribute__((may_alias));

static bool aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (sizeof(word) - 1)) == 0;
}

/* Upwards, so that it also moves to a lower place that overlaps. */
static inline void copy(uint8_t *d, const uint8_t *s, size_t size)
{
    if (aligned(d, s))
        for (; size >= sizeof(word); size -= sizeof(word), d += sizeof(word), s += sizeof(word))
            *(word *)d = *(const word *)s;
    while (size--)
        *d++ = *s++;
}

/* The linker script gives it one address in every program. */
__attribute__((section(".text.memcpy"), used))
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    copy(to, from, size);
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s || d >= s + size)
        copy(d, s, size);
    else
        while (size--)
            d[size] = s[size];
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *d = to;
    if (aligned(d, d)) {
        word pattern = (word)-1 / 255 * (uint8_t)value;
        for (; size >= sizeof(word); size -= sizeof(word), d += sizeof(word))
            *(word *)d = pattern;
    }
    while (size--)
        *d++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;
    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;
    while (length < limit && text[length])
        length++;
    return length;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}
