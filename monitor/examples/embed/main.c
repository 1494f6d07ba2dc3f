/* A kernel in miniature that asks KSS before it lets two processes talk: it is the point of
 * enforcement (PEP), libkss the point of decision (PDP). What a real one must see to is in
 * docs/embedding.md.
 *
 *     kss compile security.psl -I interfaces -o policy.h
 *     kss cgen plant.IDrive -I interfaces --class plant.Pump -o plant_IDrive.h
 *     cc -I build/libkss -I . main.c build/libkss/libkss.a -o plant
 */
#include <stdio.h>
#include <stdlib.h>

#include "kss.h"
#include "plant_IDrive.h"
#include "policy.h"

struct process {
    const char *name;
    uint32_t class;
    uint32_t sid; /* never given twice */
};

static struct process kernel = {"kernel", policy_class_kl_core_Core, 1};
static struct process panel = {"panel", policy_class_plant_Panel, 0};
static struct process pump = {"pump", policy_class_plant_Pump, 0};
static uint32_t last_sid = 1;

/* What the policy's audit profiles have recorded: a line for the event, and one for each call. */
static void audit(void *context, const kss_event *event, kss_verdict verdict, const kss_record *record)
{
    static const char *const kinds[] = {"execute", "request", "response", "error", "security"};
    static const char *const reasons[] = {"", ": no rule", ": failed", ": malformed"};
    static const char *const results[] = {"denied", "granted", "failed"};
    FILE *out = context;
    fprintf(out, "  audit level %u: %s %s#%u -> %s#%u %s%s\n", record->level, kinds[event->kind],
            policy_classes[event->src_class], event->src_sid, policy_classes[event->dst_class], event->dst_sid,
            verdict.granted ? "granted" : "denied", reasons[verdict.reason]);
    for (uint32_t i = 0; i < record->count; i++) {
        const kss_audited *call = &record->calls[i];
        const struct policy_rule *rule = &policy_rules[call->rule];
        char number[11];
        const char *result = call->result == KSS_VALUE
                                 ? policy_value(call->rule, call->value, number, sizeof number)
                                 : results[call->result];
        fprintf(out, "    %s.%s %s (%s:%u)\n", rule->object, rule->method, result, rule->file, rule->line);
    }
}

static bool judge(kss_policy *policy, enum kss_kind kind, const struct process *from,
                  const struct process *to, const void *message, uint32_t size)
{
    kss_event event = {
        .kind = kind,
        .src_class = from->class,
        .src_sid = from->sid,
        .dst_class = to->class,
        .dst_sid = to->sid,
        .message = message,
        .message_size = size,
    };
    return kss_judge_audited(policy, &event, audit, stdout).granted;
}

/* A start is an event like any other: nothing runs that the policy does not start. */
static bool start(kss_policy *policy, struct process *process)
{
    process->sid = ++last_sid;
    bool granted = judge(policy, KSS_EXECUTE, &kernel, process, NULL, 0);
    printf("start %s: %s\n", process->name, granted ? "granted" : "denied");
    return granted;
}

/* A request, and if it is delivered its answer: nobody receives what was not judged. */
static void ask(kss_policy *policy, const char *what, const struct process *from, const void *message,
                uint32_t size)
{
    bool granted = judge(policy, KSS_REQUEST, from, &pump, message, size);
    printf("%s: %s\n", what, granted ? "delivered" : "refused");
    if (!granted)
        return;
    struct plant_IDrive_Start_res answer = {.header = plant_IDrive_Start_res_header, .rc = 0};
    answer.header.riid = plant_Pump_drive_riid;
    answer.header.mid = ((const kss_header *)message)->mid;
    uint32_t length = answer.header.mid == plant_IDrive_Start_mid ? plant_IDrive_Start_res_size
                                                                  : plant_IDrive_Stop_res_size;
    printf("its answer: %s\n", judge(policy, KSS_RESPONSE, &pump, from, &answer, length) ? "delivered" : "refused");
}

static void ask_start(kss_policy *policy, const char *what, uint16_t speed, const char *note)
{
    struct plant_IDrive_Start_req message = {.header = plant_IDrive_Start_req_header, .speed = speed};
    uint32_t size = plant_IDrive_Start_req_size;
    message.header.riid = plant_Pump_drive_riid;
    if (plant_IDrive_Start_req_set_note(&message, &size, note))
        ask(policy, what, &panel, &message, size);
}

int main(void)
{
    size_t where = 0;
    kss_status status = kss_verify(policy_image, policy_image_size, &where);
    if (status != KSS_OK) {
        fprintf(stderr, "the policy does not verify: status %d at offset %zu\n", (int)status, where);
        return 1;
    }
    /* The state is one block of the caller's; a copy of it is a snapshot. */
    size_t size = kss_state_size(policy_image);
    void *state = aligned_alloc(16, (size + 15) / 16 * 16);
    kss_policy policy;
    if (!state || kss_init(&policy, policy_image, policy_image_size, state, size) != KSS_OK)
        return 1;
    if (!judge(&policy, KSS_EXECUTE, &kernel, &kernel, NULL, 0)) /* no rule for that, no system */
        return 1;
    if (!start(&policy, &panel) || !start(&policy, &pump))
        return 1;

    ask_start(&policy, "start at 1200 rpm", 1200, "morning");
    ask_start(&policy, "start again", 900, "");
    struct plant_IDrive_Stop_req stop = {.header = plant_IDrive_Stop_req_header};
    stop.header.riid = plant_Pump_drive_riid;
    ask(&policy, "stop", &panel, &stop, plant_IDrive_Stop_req_size);
    ask_start(&policy, "start at 9000 rpm", 9000, "faster!");
    ask(&policy, "half a message", &panel, &stop, plant_IDrive_Stop_req_size / 2);
    ask(&policy, "stop, asked by the pump itself", &pump, &stop, plant_IDrive_Stop_req_size);
    free(state);
    return 0;
}
