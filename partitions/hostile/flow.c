/* Programs that do not end, or do nothing but begin. */
#include "hostile.h"

/* What a sound partition does; shows that the others fail for what they do. */
static khs_result nothing(void)
{
    return passed();
}

static khs_result loop(void)
{
    for (;;)
        __asm__ volatile("");
}

static khs_result hypercall_storm(void)
{
    for (;;)
        khs_nop();
}

static khs_result denial_storm(void)
{
    khs_partition_mode_set(KHS_MODE_NORMAL); /* out of a cold start nobody is even asked */
    for (;;)
        khs_partition_mode_set(KHS_MODE_WARM_START); /* the policy allows cold starts only */
}

static khs_result console_storm(void)
{
    for (;;)
        khs_print("all mine\n");
}

static khs_result restart_storm(void)
{
    khs_partition_mode_set(KHS_MODE_COLD_START);
    return passed();
}

static khs_result stop(void)
{
    khs_partition_mode_set(KHS_MODE_IDLE);
    return passed();
}

const struct hostile_case flow_cases[] = {
    { "nothing", nothing },
    { "loop", loop },
    { "hypercall-storm", hypercall_storm },
    { "denial-storm", denial_storm },
    { "console-storm", console_storm },
    { "restart-storm", restart_storm },
    { "stop", stop },
    { NULL, NULL },
};
