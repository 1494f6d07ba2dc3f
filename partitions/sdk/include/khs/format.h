/* Text from values. SPDX-License-Identifier: MIT */
#ifndef KHS_FORMAT_H
#define KHS_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* A small snprintf: %d %u %x (32 bits; with l: size_t; with ll: 64 bits), %s %c %%, and a
 * width with or without leading zeros, as in %4d and %08x. Writes at most `size` bytes
 * with the final zero and returns the length of what it wrote, without the zero. */
__attribute__((format(printf, 3, 4))) size_t khs_format(char *buffer, size_t size,
                                                        const char *format, ...);
size_t khs_format_list(char *buffer, size_t size, const char *format, va_list values);

/* khs_format to the partition's console, one hypercall of at most KHS_CONSOLE_MAX bytes;
 * returns the code of the hypercall. */
__attribute__((format(printf, 1, 2))) uint32_t khs_print(const char *format, ...);

#endif
