/* Load to measure with. MODE:
 *
 *   compute  rounds of work.c, each checked against the known result (the default)
 *   null     hypercalls that do nothing, one after the other
 *   port     64-byte messages to a sampling port, each judged by a rule that looks into it
 *   rate     one hypercall in about a thousand ticks
 *   print    one line on the console, and that is all
 *   device   reads of the status of uart3, eight a round
 *   memory   the same loop, of a word in memory
 *
 * A wrong result stops the partition with an undefined instruction.
 */
#include "work.h"
#include <bench/ISample.idl.h>
#include <khs/khs.h>

#define TWO(x) x; x
#define EIGHT(x) TWO(TWO(TWO(x)))

enum { REPORT_ROUNDS = 100, LOOP_ROUNDS = 439 };

static void compute(void)
{
    for (uint32_t round = 1;; round++) {
        if (work(1) != WORK_RESULT)
            __builtin_trap();
        if (round % REPORT_ROUNDS == 0)
            khs_print("%u rounds\n", round);
    }
}

static void null(void)
{
    for (;;)
        khs_nop();
}

static void port(void)
{
    uint32_t sample = khs_port("sample");
    struct bench_ISample_Put_req m = { .header = bench_ISample_Put_req_header };
    for (;; m.number++)
        if (khs_port_write(sample, &m, sizeof m).code != KHS_CODE_OK)
            __builtin_trap();
}

/* Two instructions a round on every architecture. */
static void spin(uint32_t rounds)
{
#if defined(__arm__)
    __asm__ volatile("1:\tsubs %0, %0, #1\n\tbne 1b" : "+r"(rounds) : : "cc");
#else
    __asm__ volatile("1:\tdecl %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
#endif
}

static void rate(void)
{
    for (;;) {
        spin(LOOP_ROUNDS);
        khs_nop();
    }
}

/* The status does not change meanwhile. On x86 the registers are ports. */
static void device(void)
{
    const struct khs_start_device *uart = khs_device("uart3");
    if (uart == NULL)
        __builtin_trap();
#if defined(__arm__)
    volatile uint32_t *status = (volatile uint32_t *)(uintptr_t)(uart->address + 0x98);
    for (;;)
        EIGHT((void)*status);
#else
    uint16_t status = (uint16_t)(uart->address + 5);
    for (;;) {
        uint8_t value;
        EIGHT(__asm__ volatile("inb %1, %0" : "=a"(value) : "d"(status)));
        (void)value;
    }
#endif
}

static void memory(void)
{
    static volatile uint32_t word;
    for (;;)
        EIGHT((void)word);
}

void main(void)
{
    const char *mode = khs_env("MODE");
    khs_ready();
    if (!mode || strcmp(mode, "compute") == 0)
        compute();
    else if (strcmp(mode, "null") == 0)
        null();
    else if (strcmp(mode, "port") == 0)
        port();
    else if (strcmp(mode, "rate") == 0)
        rate();
    else if (strcmp(mode, "print") == 0)
        khs_print("x\n");
    else if (strcmp(mode, "device") == 0)
        device();
    else if (strcmp(mode, "memory") == 0)
        memory();
}
