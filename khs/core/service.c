/* Kernel services: each is a request to kl.core.Core, typed by its interface files
 * (monitor/kss/sdk/kl/core), judged like any other. */
#include "internal.h"

static uint32_t begin(khs_core *core, uint32_t service, uint16_t method)
{
    *(kss_header *)core->scratch = (kss_header){service, method, KSS_IN};
    return sizeof(kss_header);
}

static uint32_t put(khs_core *core, uint32_t at, uint32_t value)
{
    *(uint32_t *)(core->scratch + at) = value;
    return at + 4u;
}

/* Pads the constant part to a multiple of 8. */
static uint32_t end(khs_core *core, uint32_t at)
{
    uint32_t size = (at + 7u) & ~7u;
    khs_zero(core->scratch + at, size - at);
    return size;
}

/* Whether the service may act. An outcome that already has a code cannot be carried out; it
 * is judged all the same, so that who is denied learns nothing else. */
static bool ask(khs_core *core, uint32_t self, uint32_t size, khs_outcome *outcome)
{
    outcome->verdicts++;
    if (!khs_judge_service(core, self, core->scratch, size, outcome->code == KHS_CODE_OK))
        outcome->code = KHS_CODE_DENIED;
    return outcome->code == KHS_CODE_OK;
}

/* A request whose parameters are `count` integers. */
static bool ask_values(khs_core *core, uint32_t self, uint32_t service, uint16_t method,
                       const uint32_t *values, uint32_t count, khs_outcome *outcome)
{
    uint32_t at = begin(core, service, method);
    for (uint32_t i = 0; i < count; i++)
        at = put(core, at, values[i]);
    return ask(core, self, end(core, at), outcome);
}

/* Completes a request at `at` with a bytes parameter taken from the guest. */
static bool ask_bytes(khs_core *core, uint32_t self, uint32_t at, const uint8_t *text, uint32_t length,
                      khs_outcome *outcome)
{
    at = put(core, at, 0);
    at = put(core, at, length);
    at = end(core, at);
    khs_copy(core->scratch + at, text, length);
    outcome->copied = length;
    return ask(core, self, at + length, outcome);
}

/* What a warm start keeps is not made yet. */
static bool too_early(const khs_core *core, uint32_t target, uint32_t mode)
{
    return mode == KHS_MODE_WARM_START && core->partitions[target].mode == KHS_MODE_COLD_START;
}

khs_outcome khs_do_partition_mode_set(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t mode = (uint32_t)a[0], current = core->partitions[self].mode;
    if (mode > KHS_MODE_NORMAL)
        return khs_done(KHS_CODE_INVALID_PARAM);
    if (mode == KHS_MODE_NORMAL && current == KHS_MODE_NORMAL)
        return khs_done(KHS_CODE_NO_ACTION);
    if (too_early(core, self, mode))
        return khs_done(KHS_CODE_INVALID_MODE);
    khs_outcome outcome = {.target = (uint16_t)self, .mode = (uint16_t)mode};
    if (ask_values(core, self, KHS_RIID_PARTITION, KHS_MID_PARTITION_SET_MODE, &mode, 1, &outcome))
        outcome.after = AFTER_MODE;
    return outcome;
}

khs_outcome khs_do_partition_restart(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t values[] = {(uint32_t)a[0], (uint32_t)a[1]};
    if (values[0] >= core->cfg->partitions.count || values[1] >= KHS_MODE_NORMAL)
        return khs_done(KHS_CODE_INVALID_PARAM);
    khs_outcome outcome = {.target = (uint16_t)values[0], .mode = (uint16_t)values[1]};
    if (too_early(core, outcome.target, outcome.mode))
        outcome.code = KHS_CODE_INVALID_MODE;
    if (ask_values(core, self, KHS_RIID_PARTITION, KHS_MID_PARTITION_RESTART, values, 2, &outcome))
        outcome.after = AFTER_MODE;
    return outcome;
}

khs_outcome khs_do_schedule_switch(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t schedule = (uint32_t)a[0];
    if (schedule >= core->cfg->schedules.count)
        return khs_done(KHS_CODE_INVALID_PARAM);
    if (schedule == core->state->next_schedule)
        return khs_done(KHS_CODE_NO_ACTION);
    khs_outcome outcome = {0};
    if (ask_values(core, self, KHS_RIID_SCHEDULE, KHS_MID_SCHEDULE_SWITCH, &schedule, 1, &outcome))
        core->state->next_schedule = schedule;
    return outcome;
}

khs_outcome khs_do_error_raise(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t length = (uint32_t)a[2];
    if (length > KHS_ERROR_TEXT_MAX)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *text = khs_span(core, self, a[1], length, KHS_R);
    if (text == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_outcome outcome = {.error = (uint32_t)a[0]};
    uint32_t at = put(core, begin(core, KHS_RIID_HEALTH, KHS_MID_HEALTH_RAISE), outcome.error);
    if (!ask_bytes(core, self, at, text, length, &outcome))
        return outcome;
    outcome.after = AFTER_HEALTH;
    outcome.data = core->scratch + 24; /* behind the constant part of Raise */
    return outcome;
}

khs_outcome khs_do_module_stop(khs_core *core, uint32_t self, const uint64_t *a)
{
    (void)a;
    khs_outcome outcome = {0};
    if (ask_values(core, self, KHS_RIID_MODULE, KHS_MID_MODULE_STOP, NULL, 0, &outcome))
        outcome.after = AFTER_STOP;
    return outcome;
}

khs_outcome khs_do_console_write(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t length = (uint32_t)a[1];
    if (length > KHS_CONSOLE_MAX)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *text = khs_span(core, self, a[0], length, KHS_R);
    if (text == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_outcome outcome = {0};
    uint32_t at = begin(core, KHS_RIID_CONSOLE, KHS_MID_CONSOLE_WRITE);
    if (ask_bytes(core, self, at, text, length, &outcome))
        khs_emit(core, self,
                 &(khs_record){.type = KHS_EV_CONSOLE, .flags = KHS_VISIBLE,
                               .data = core->scratch + sizeof(kss_header) + sizeof(kss_span), .size = length});
    return outcome;
}

/* Both are asked for before the image is looked at: a caller without the right learns
 * nothing about it. */
khs_outcome khs_do_policy_swap(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t number = (uint32_t)a[0];
    if (number >= core->cfg->policies)
        return khs_done(KHS_CODE_INVALID_PARAM);
    khs_outcome outcome = {0};
    if (!ask_values(core, self, KHS_RIID_POLICY, KHS_MID_POLICY_SWAP, &number, 1, &outcome))
        return outcome;
    if (!khs_policy_request(core, number, 0))
        outcome.code = KHS_CODE_BAD_POLICY;
    return outcome;
}

khs_outcome khs_do_policy_install(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t length = (uint32_t)a[1], slot = 1 - core->state->policy_active;
    if (length == 0 || length > core->cfg->policy_image)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *image = khs_span(core, self, a[0], length, KHS_R);
    if (image == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_outcome outcome = {0};
    if (!ask_values(core, self, KHS_RIID_POLICY, KHS_MID_POLICY_INSTALL, &length, 1, &outcome))
        return outcome;
    khs_copy(core->policy_image[slot], image, length);
    outcome.copied = length;
    if (!khs_policy_request(core, KHS_NONE, length))
        outcome.code = KHS_CODE_BAD_POLICY;
    return outcome;
}

khs_outcome khs_do_security(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t length = (uint32_t)a[1];
    if (length < sizeof(kss_header) || length > core->cfg->max_message)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *from = khs_span(core, self, a[0], length, KHS_R);
    if (from == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_copy(core->scratch, from, length);
    khs_outcome outcome = {.copied = length, .verdicts = 1};
    khs_subject nobody = {KSS_NO_CLASS, 0, KHS_NONE};
    if (!khs_judge(core, KSS_SECURITY, khs_subject_of(core, self), nobody, 0, core->scratch, length))
        outcome.code = KHS_CODE_DENIED;
    return outcome;
}
