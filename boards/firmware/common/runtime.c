/* What the compiler calls without being asked: memory functions, and division on CPUs that
 * cannot divide (or not 64 bits). Run-time ABI for the Arm Architecture, 4.2 and 4.3. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

/* khs_copy asks for these: they must not ask for it. Words go eight at a time, in ARM one
 * instruction each way. */
typedef struct words {
    uintptr_t word[8];
} words;

#define UNALIGNED (sizeof(uintptr_t) - 1)

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0) {
#ifdef __arm__
        for (; size >= sizeof(words); size -= sizeof(words))
            __asm__ volatile("ldmia %0!, {r3-r6, r8-r10, r12}\n stmia %1!, {r3-r6, r8-r10, r12}"
                             : "+r"(f), "+r"(t)
                             :
                             : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "memory");
#endif
        for (; size >= 4; t += 4, f += 4, size -= 4)
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
    }
    for (; size; t++, f++, size--)
        *t = *f;
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    uintptr_t w = (uint8_t)value * (UINTPTR_MAX / 0xff);
    if (((uintptr_t)t & UNALIGNED) == 0)
        for (; size >= sizeof(words); t += sizeof(words), size -= sizeof(words))
            *(words *)(void *)t = (words){{w, w, w, w, w, w, w, w}};
    if (((uintptr_t)t & UNALIGNED) == 0)
        for (; size >= sizeof w; t += sizeof w, size -= sizeof w)
            *(uintptr_t *)(void *)t = w;
    for (; size; t++, size--)
        *t = (uint8_t)value;
    return to;
}

#ifndef __x86_64__
typedef struct division {
    uint64_t quotient;
    uint64_t remainder;
} division;

static division divide(uint64_t a, uint64_t b)
{
    division d = {0, 0};
    for (int bit = 63; bit >= 0; bit--) {
        d.remainder = d.remainder << 1 | (a >> bit & 1);
        if (d.remainder >= b) {
            d.remainder -= b;
            d.quotient |= 1ull << bit;
        }
    }
    return d;
}
#endif

#ifdef __i386__
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b) { return divide(a, b).quotient; }
uint64_t __umoddi3(uint64_t a, uint64_t b) { return divide(a, b).remainder; }
#endif

#ifdef __arm__
void __aeabi_memcpy(void *to, const void *from, size_t size);
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memset(void *to, size_t size, int value);
uint32_t __aeabi_uidiv(uint32_t a, uint32_t b);
uint64_t __aeabi_uidivmod(uint32_t a, uint32_t b);
void khs_uldivmod(uint64_t a, uint64_t b, uint64_t *quotient, uint64_t *remainder);

void __aeabi_memcpy(void *to, const void *from, size_t size) { memcpy(to, from, size); }
void __aeabi_memclr(void *to, size_t size) { memset(to, 0, size); }
void __aeabi_memset(void *to, size_t size, int value) { memset(to, value, size); }
__asm__(".global __aeabi_memcpy4, __aeabi_memcpy8, __aeabi_memclr4, __aeabi_memclr8, __aeabi_memset4, __aeabi_memset8\n"
        ".set __aeabi_memcpy4, __aeabi_memcpy\n .set __aeabi_memcpy8, __aeabi_memcpy\n"
        ".set __aeabi_memclr4, __aeabi_memclr\n .set __aeabi_memclr8, __aeabi_memclr\n"
        ".set __aeabi_memset4, __aeabi_memset\n .set __aeabi_memset8, __aeabi_memset");

uint32_t __aeabi_uidiv(uint32_t a, uint32_t b) { return (uint32_t)divide(a, b).quotient; }

/* quotient in r0, remainder in r1 */
uint64_t __aeabi_uidivmod(uint32_t a, uint32_t b)
{
    division d = divide(a, b);
    return d.quotient | d.remainder << 32;
}

/* quotient in r0 and r1, remainder in r2 and r3 */
void khs_uldivmod(uint64_t a, uint64_t b, uint64_t *quotient, uint64_t *remainder)
{
    division d = divide(a, b);
    *quotient = d.quotient;
    *remainder = d.remainder;
}
__asm__(".text\n .global __aeabi_uldivmod\n .type __aeabi_uldivmod, %function\n"
        "__aeabi_uldivmod:\n"
        "push {lr}\n sub sp, sp, #28\n"
        "add r12, sp, #16\n str r12, [sp, #4]\n"
        "add r12, sp, #8\n str r12, [sp]\n"
        "bl khs_uldivmod\n"
        "ldr r0, [sp, #8]\n ldr r1, [sp, #12]\n ldr r2, [sp, #16]\n ldr r3, [sp, #20]\n"
        "add sp, sp, #28\n pop {pc}");
#endif
