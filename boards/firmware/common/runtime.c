/* What the compiler calls without being asked: memory functions, and division on CPUs that
 * cannot divide (or not 64 bits). Run-time ABI for the Arm Architecture, 4.2 and 4.3. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

/* They must not ask for themselves. These CPUs load and store words of any alignment. */
typedef struct piece {
    uint64_t word;
} __attribute__((packed)) piece;

#define FILL(at) (*(piece *)(void *)(t + (at)) = (piece){w})
#define LOOP _Pragma("clang loop unroll(disable)") for

#ifdef __arm__
typedef struct word {
    uint32_t word;
} __attribute__((packed)) word;

/* What is aligned moves eight words an instruction, then two. */
void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0) {
        LOOP (; size >= 32; size -= 32)
            __asm__ volatile("ldmia %0!, {r3-r6, r8-r10, r12}\n stmia %1!, {r3-r6, r8-r10, r12}"
                             : "+r"(f), "+r"(t)
                             :
                             : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "memory");
        LOOP (; size >= 8; size -= 8)
            __asm__ volatile("ldmia %0!, {r3, r4}\n stmia %1!, {r3, r4}" : "+r"(f), "+r"(t) : : "r3", "r4", "memory");
    }
    LOOP (; size >= 8; t += 8, f += 8, size -= 8)
        *(piece *)(void *)t = *(const piece *)(const void *)f;
    if (size & 4)
        *(word *)(void *)t = *(const word *)(const void *)f, t += 4, f += 4;
    LOOP (size &= 3; size; size--)
        *t++ = *f++;
    return to;
}
#else
void *memcpy(void *to, const void *from, size_t size)
{
    void *t = to;
    size_t words = size / sizeof words;
    size %= sizeof words;
#ifdef __x86_64__
    __asm__ volatile("rep movsq" : "+D"(t), "+S"(from), "+c"(words) : : "memory");
#else
    __asm__ volatile("rep movsl" : "+D"(t), "+S"(from), "+c"(words) : : "memory");
#endif
    if (size)
        __asm__ volatile("rep movsb" : "+D"(t), "+S"(from), "+c"(size) : : "memory");
    return to;
}
#endif

void *memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    uint64_t w = (uint8_t)value * (UINT64_MAX / 0xff);
#ifdef __arm__
    register uint32_t one __asm__("r3") = (uint32_t)w, two __asm__("r4") = one, three __asm__("r5") = one,
                      four __asm__("r6") = one;
    if (((uintptr_t)t & 3u) == 0)
        LOOP (; size >= 16; size -= 16)
            __asm__ volatile("stmia %0!, {%1, %2, %3, %4}"
                             : "+r"(t)
                             : "r"(one), "r"(two), "r"(three), "r"(four)
                             : "memory");
#endif
    LOOP (; size >= 64; t += 64, size -= 64)
        FILL(0), FILL(8), FILL(16), FILL(24), FILL(32), FILL(40), FILL(48), FILL(56);
    LOOP (; size >= 8; t += 8, size -= 8)
        FILL(0);
    LOOP (; size; size--)
        *t++ = (uint8_t)value;
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
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memset(void *to, size_t size, int value);
uint32_t __aeabi_uidiv(uint32_t a, uint32_t b);
uint64_t __aeabi_uidivmod(uint32_t a, uint32_t b);
void khs_uldivmod(uint64_t a, uint64_t b, uint64_t *quotient, uint64_t *remainder);

void __aeabi_memclr(void *to, size_t size) { memset(to, 0, size); }
/* Mostly of small structures, in whole pairs of words. */
__asm__(".text\n .global __aeabi_memclr4, __aeabi_memclr8\n"
        ".type __aeabi_memclr4, %function\n .type __aeabi_memclr8, %function\n"
        "__aeabi_memclr4:\n __aeabi_memclr8:\n"
        "mov r2, #0\n mov r3, #0\n"
        "1: subs r1, r1, #8\n stmiahs r0!, {r2, r3}\n bhi 1b\n"
        "bxeq lr\n"
        "add r1, r1, #8\n b __aeabi_memclr");
void __aeabi_memset(void *to, size_t size, int value) { memset(to, value, size); }
#define ALIAS(name, other) ".global " #name "\n .set " #name ", " #other "\n"
#define ALIASES(name) ALIAS(name##4, name) ALIAS(name##8, name)
__asm__(ALIAS(__aeabi_memcpy, memcpy) ALIAS(__aeabi_memcpy4, memcpy) ALIAS(__aeabi_memcpy8, memcpy)
        ALIASES(__aeabi_memset));

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
