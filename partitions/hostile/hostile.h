/* A partition that misbehaves. Each case is a function; what becomes of it on each architecture
 * is in tests/guests/cases.toml. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <khs/khs.h>

typedef khs_result case_function(void);

struct hostile_case {
    const char *name;
    case_function *run;
};

/* Lists end with an entry without a name. */
extern const struct hostile_case memory_cases[], instruction_cases[], hypercall_cases[],
    message_cases[], peer_cases[], interrupt_cases[], flow_cases[];

/* Where the kernel, or what stands in for it, lies on the boards. */
#if defined(__arm__)
#define KERNEL_ADDRESS 0x10010000u
#else
#define KERNEL_ADDRESS 0x00100000u
#endif
#define UNMAPPED_ADDRESS 0x60000000u

static inline khs_result passed(void)
{
    return (khs_result){ KHS_CODE_OK, 0 };
}

/* Lets `periods` periods pass (the partition becomes ready first). */
void pass_time(uint32_t periods);

/* Ports and regions of images/hostile. */
struct hostile_ends {
    uint32_t service, back, noise, level, answer, hint; /* see system.toml */
    uint8_t *shared, *readable;
};
extern struct hostile_ends ends;

#endif
