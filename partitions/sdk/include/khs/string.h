/* Memory and text, the freestanding part of <string.h>. SPDX-License-Identifier: MIT */
#ifndef KHS_STRING_H
#define KHS_STRING_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

size_t strlen(const char *text);
/* strlen, but looks at no more than `limit` bytes. */
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);

/* Whether `text` of `length` bytes begins with `prefix`. */
bool khs_starts_with(const char *text, size_t length, const char *prefix);

#endif
