/* Hypercalls with numbers, pointers and arguments that are out of range. */
#include "hostile.h"

static uint8_t good[64] __attribute__((aligned(8)));

static khs_result make(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct khs_hypercall call = { .number = number, .argument = { a, b, c, d, e, f } };
    khs_hypercall(&call);
    return (khs_result){ call.code, call.value };
}

/* ------------------------------------------------------------ pointers */

#define GOOD ((uintptr_t)good)

/* Makes every hypercall that reads from `p` and, if `writes`, every one that writes to it.
 * Returns the first code other than BAD_POINTER, with the hypercall's number. */
static khs_result with_pointer(uint64_t p, bool reads, bool writes)
{
    const struct {
        bool writes;
        uint32_t number;
        uint64_t a, b, c, d, e, f;
    } calls[] = {
        { true, KHS_HC_TIME_GET, p, 0, 0, 0, 0, 0 },
        { true, KHS_HC_PARTITION_STATUS, p, 0, 0, 0, 0, 0 },
        { true, KHS_HC_SCHEDULE_STATUS, p, 0, 0, 0, 0, 0 },
        { true, KHS_HC_PORT_STATUS, 0, p, 0, 0, 0, 0 },
        { true, KHS_HC_CALL, ends.service, GOOD, 16, p, 64, 1 },
        { true, KHS_HC_RECV, p, 64, GOOD, 0, 0, 0 },
        { true, KHS_HC_RECV, GOOD, 64, p, 0, 0, 0 },
        { false, KHS_HC_CONSOLE_WRITE, p, 16, 0, 0, 0, 0 },
        { false, KHS_HC_PORT_WRITE, ends.level, p, 16, 0, 0, 0 },
        { false, KHS_HC_PORT_SEND, ends.noise, p, 24, 0, 0, 0 },
        { false, KHS_HC_CALL, ends.service, p, 24, GOOD, 64, 1 },
        { false, KHS_HC_SECURITY, p, 16, 0, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].writes ? !writes : !reads)
            continue;
        khs_result r = make(calls[i].number, calls[i].a, calls[i].b, calls[i].c, calls[i].d, calls[i].e,
                            calls[i].f);
        if (r.code != KHS_CODE_BAD_POINTER)
            return (khs_result){ r.code, calls[i].number };
    }
    return (khs_result){ KHS_CODE_BAD_POINTER, 0 };
}

#define POINTER(name, address, reads, writes)                                                       \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        return with_pointer(address, reads, writes);                                                \
    }

POINTER(pointer_null, 0, true, true)
POINTER(pointer_unmapped, UNMAPPED_ADDRESS, true, true)
POINTER(pointer_kernel, KERNEL_ADDRESS, true, true)
POINTER(pointer_top, UINTPTR_MAX - 7, true, true)
POINTER(pointer_to_code, (uintptr_t)with_pointer, false, true)
POINTER(pointer_to_constant, (uintptr_t)"constant", false, true)
POINTER(pointer_to_start_info, (uintptr_t)khs_start, false, true)
POINTER(pointer_to_readable, (uintptr_t)ends.readable, false, true)
/* Code and constants are neighbours, both readable, and yet two regions. */
extern const char khs_code_end[];
POINTER(pointer_across_regions, ((uintptr_t)khs_code_end | 4095) - 3, true, false)
POINTER(pointer_over_the_edge, (uintptr_t)ends.shared + 4096 - 4, true, true)
POINTER(pointer_to_neighbour, (uintptr_t)ends.readable + 0x100000, true, true)
#if defined(__x86_64__)
POINTER(pointer_high_bits, 0x100000000u | GOOD, true, true)
POINTER(pointer_sign_bit, 0x8000000000000000u | GOOD, true, true)
#endif

/* Structs need no alignment: the kernel copies bytes. */
static khs_result pointer_misaligned(void)
{
    khs_result r = make(KHS_HC_TIME_GET, GOOD + 3, 0, 0, 0, 0, 0);
    uint64_t ns;
    memcpy(&ns, good + 3, sizeof ns);
    return (khs_result){ r.code, ns > 0 };
}

/* No byte is read or written, so that the address does not matter. */
static khs_result pointer_of_nothing(void)
{
    return make(KHS_HC_CONSOLE_WRITE, KERNEL_ADDRESS, 0, 0, 0, 0, 0);
}

/* ------------------------------------------------------------ numbers and values */

#define CALL(name, ...)                                                                             \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        return make(__VA_ARGS__);                                                                   \
    }

CALL(number_next, KHS_HYPERCALLS, 0, 0, 0, 0, 0, 0)
CALL(number_large, 0xffffffff, 0, 0, 0, 0, 0, 0)
CALL(number_negative, 0x80000000u | KHS_HC_CONSOLE_WRITE, GOOD, 4, 0, 0, 0, 0)
#if defined(__x86_64__)
CALL(number_high_bits, 0x100000000u | KHS_HC_NOP, 0, 0, 0, 0, 0, 0)
#endif
CALL(port_next, KHS_HC_PORT_WRITE, khs_start->ports.count, GOOD, 16, 0, 0, 0)
CALL(port_large, KHS_HC_PORT_WRITE, 0xffffffff, GOOD, 16, 0, 0, 0)
CALL(port_of_wrong_kind, KHS_HC_PORT_SEND, ends.level, GOOD, 16, 0, 0, 0)
CALL(port_of_wrong_direction, KHS_HC_PORT_WRITE, ends.hint, GOOD, 16, 0, 0, 0)
CALL(port_of_wrong_direction_read, KHS_HC_PORT_READ, ends.level, GOOD, 64, GOOD, 0, 0)
CALL(call_a_port, KHS_HC_CALL, ends.level, GOOD, 16, GOOD, 64, 0)
CALL(call_as_server, KHS_HC_CALL, ends.back, GOOD, 16, GOOD, 64, 0)
CALL(input_next, KHS_HC_INPUT_RECEIVE, khs_start->inputs.count, GOOD, 64, 0, 0, 0)
CALL(console_too_long, KHS_HC_CONSOLE_WRITE, GOOD, KHS_CONSOLE_MAX + 1, 0, 0, 0, 0)
CALL(console_huge, KHS_HC_CONSOLE_WRITE, GOOD, 0xffffffff, 0, 0, 0, 0)
CALL(mode_unknown, KHS_HC_PARTITION_MODE_SET, 4, 0, 0, 0, 0, 0)
CALL(period_before_ready, KHS_HC_PERIOD_WAIT, 0, 0, 0, 0, 0, 0)
CALL(reply_without_call, KHS_HC_REPLY, 0, GOOD, 16, 0, 0, 0)
CALL(reply_large_token, KHS_HC_REPLY, 0xffffffff, GOOD, 16, 0, 0, 0)

/* Privileges it has not. */
CALL(restart_neighbour, KHS_HC_PARTITION_RESTART, 1, KHS_MODE_COLD_START, 0, 0, 0, 0)
CALL(stop_module, KHS_HC_MODULE_STOP, 0, 0, 0, 0, 0, 0)
CALL(switch_schedule, KHS_HC_SCHEDULE_SWITCH, 0, 0, 0, 0, 0, 0)
CALL(swap_policy, KHS_HC_POLICY_SWAP, 0, 0, 0, 0, 0, 0)
CALL(install_policy, KHS_HC_POLICY_INSTALL, GOOD, 64, 0, 0, 0, 0)
CALL(raise_error, KHS_HC_ERROR_RAISE, 1, GOOD, 4, 0, 0, 0)
CALL(ask_security, KHS_HC_SECURITY, GOOD, 16, 0, 0, 0, 0)

/* With the privilege (privileged.toml), and a rule that grants a swap to policy 1 alone. */
CALL(swap_to_reviewed, KHS_HC_POLICY_SWAP, 1, 0, 0, 0, 0, 0)
CALL(swap_to_other, KHS_HC_POLICY_SWAP, 0, 0, 0, 0, 0, 0)
CALL(swap_to_none, KHS_HC_POLICY_SWAP, 2, 0, 0, 0, 0, 0)

/* An image beside the number that is granted: if anything looked at it, it would be refused. */
static khs_result swap_with_image(void)
{
    khs_result r = make(KHS_HC_POLICY_SWAP, 1, GOOD, 64, 0, 0, 0);
    if (r.code != KHS_CODE_OK)
        return r;
    return make(KHS_HC_POLICY_INSTALL, GOOD, 64, 0, 0, 0, 0);
}

/* ------------------------------------------------------------ arguments of 32 bits */

#if defined(__x86_64__)
#define HIGH 0x100000000u
CALL(port_high_bits, KHS_HC_PORT_WRITE, HIGH | ends.level, GOOD, 16, 0, 0, 0)
CALL(length_high_bits, KHS_HC_CONSOLE_WRITE, GOOD, HIGH | 4, 0, 0, 0, 0)
CALL(mode_high_bits, KHS_HC_PARTITION_MODE_SET, HIGH | KHS_MODE_NORMAL, 0, 0, 0, 0, 0)
CALL(timeout_high_bits, KHS_HC_INPUT_RECEIVE, 0, GOOD, 64, HIGH, 0, 0)
CALL(swap_high_bits, KHS_HC_POLICY_SWAP, HIGH | 1, 0, 0, 0, 0, 0)
CALL(restart_high_bits, KHS_HC_PARTITION_RESTART, HIGH | 1, KHS_MODE_COLD_START, 0, 0, 0, 0)
#endif

const struct hostile_case hypercall_cases[] = {
    { "pointer-null", pointer_null },
    { "pointer-unmapped", pointer_unmapped },
    { "pointer-kernel", pointer_kernel },
    { "pointer-top", pointer_top },
    { "pointer-to-code", pointer_to_code },
    { "pointer-to-constant", pointer_to_constant },
    { "pointer-to-start-info", pointer_to_start_info },
    { "pointer-to-readable", pointer_to_readable },
    { "pointer-across-regions", pointer_across_regions },
    { "pointer-over-the-edge", pointer_over_the_edge },
    { "pointer-to-neighbour", pointer_to_neighbour },
#if defined(__x86_64__)
    { "pointer-high-bits", pointer_high_bits },
    { "pointer-sign-bit", pointer_sign_bit },
    { "number-high-bits", number_high_bits },
    { "port-high-bits", port_high_bits },
    { "length-high-bits", length_high_bits },
    { "mode-high-bits", mode_high_bits },
    { "timeout-high-bits", timeout_high_bits },
    { "swap-high-bits", swap_high_bits },
    { "restart-high-bits", restart_high_bits },
#endif
    { "pointer-misaligned", pointer_misaligned },
    { "pointer-of-nothing", pointer_of_nothing },
    { "number-next", number_next },
    { "number-large", number_large },
    { "number-negative", number_negative },
    { "port-next", port_next },
    { "port-large", port_large },
    { "port-of-wrong-kind", port_of_wrong_kind },
    { "port-of-wrong-direction", port_of_wrong_direction },
    { "port-of-wrong-direction-read", port_of_wrong_direction_read },
    { "call-a-port", call_a_port },
    { "call-as-server", call_as_server },
    { "input-next", input_next },
    { "console-too-long", console_too_long },
    { "console-huge", console_huge },
    { "mode-unknown", mode_unknown },
    { "period-before-ready", period_before_ready },
    { "reply-without-call", reply_without_call },
    { "reply-large-token", reply_large_token },
    { "restart-neighbour", restart_neighbour },
    { "stop-module", stop_module },
    { "switch-schedule", switch_schedule },
    { "swap-policy", swap_policy },
    { "install-policy", install_policy },
    { "swap-to-reviewed", swap_to_reviewed },
    { "swap-to-other", swap_to_other },
    { "swap-to-none", swap_to_none },
    { "swap-with-image", swap_with_image },
    { "raise-error", raise_error },
    { "ask-security", ask_security },
    { NULL, NULL },
};
