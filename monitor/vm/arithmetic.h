/* Integers in 64-bit registers: unsigned ones extended by zeros, signed ones by
 * their sign. Every result is checked against its type. No divide, no call into
 * a compiler's library, also on 32-bit machines. */
#ifndef KSS_ARITHMETIC_H
#define KSS_ARITHMETIC_H

#include "format.h"

#define SIGN (1ull << 63)

static inline bool fits(uint32_t type, uint64_t value) {
    static const uint64_t high[INTEGER_TYPES] = {
        UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    uint64_t top = high[type];
    /* A signed range, shifted up by top + 1, starts at 0 and ends at 2 * top + 1. */
    return is_signed(type) ? value + top + 1 <= 2 * top + 1 : value <= top;
}

static inline bool less(uint32_t type, uint64_t a, uint64_t b) {
    uint64_t flip = is_signed(type) ? SIGN : 0;
    return (a ^ flip) < (b ^ flip);
}

static inline bool add(uint32_t type, uint64_t a, uint64_t b, uint64_t *result) {
    uint64_t sum = a + b;
    *result = sum;
    bool carry = is_signed(type) ? (~(a ^ b) & (a ^ sum)) >> 63 : sum < a;
    return !carry && fits(type, sum);
}

static inline bool subtract(uint32_t type, uint64_t a, uint64_t b, uint64_t *result) {
    uint64_t difference = a - b;
    *result = difference;
    bool borrow = is_signed(type) ? ((a ^ b) & (a ^ difference)) >> 63 : a < b;
    return !borrow && fits(type, difference);
}

static inline bool multiply_magnitudes(uint64_t a, uint64_t b, uint64_t *result) {
    uint64_t a_high = a >> 32, b_high = b >> 32, a_low = (uint32_t)a, b_low = (uint32_t)b;
    uint64_t middle = a_high * b_low + a_low * b_high; /* one of them is 0 */
    uint64_t low = a_low * b_low;
    *result = low + (middle << 32);
    return !(a_high && b_high) && middle <= UINT32_MAX && *result >= low;
}

static inline bool multiply(uint32_t type, uint64_t a, uint64_t b, uint64_t *result) {
    if (!is_signed(type))
        return multiply_magnitudes(a, b, result) && fits(type, *result);
    bool negative = (a ^ b) >> 63;
    uint64_t magnitude;
    if (!multiply_magnitudes(a >> 63 ? 0 - a : a, b >> 63 ? 0 - b : b, &magnitude))
        return false;
    *result = negative ? 0 - magnitude : magnitude;
    return magnitude <= SIGN - !negative && fits(type, *result);
}

static inline uint64_t complement(uint32_t type, uint64_t a) {
    return is_signed(type) ? ~a : ~a & (~0ull >> (64 - 8 * width_of(type)));
}

#endif
