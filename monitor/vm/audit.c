/* Audit records: which calls of the last event the profile in force has recorded.
 *
 * Profiles are resolved by the compiler to watches of rule ids, by audit level. Rules
 * and notes of one event come in the order of their rule ids. */
#include "model.h"

extern const struct model kss_model_level;

static bool omitted(const struct image *image, const struct watch *watch, uint32_t state) {
    return state < watch->states && words_of(image)[watch->omit + state / 32] >> (state % 32) & 1;
}

/* Is this result of a rule id recorded at this level, in this state of its SID? */
static bool recorded(const struct image *image, uint32_t rule, uint32_t level, uint32_t result, uint32_t state) {
    const struct watched *watched = &watched_of(image)[rule];
    const struct watch *watch = watches_of(image) + watched->watch, *end = watch + watched->watches;
    while (watch < end && watch->level < level)
        watch++;
    return watch < end && watch->level == level && watch->results >> result & 1 &&
           !omitted(image, watch, state);
}

uint32_t kss_audit_most(const void *base) {
    const struct image *image = base;
    return count_of(image, WATCHED) ? image->max_calls + image->max_notes : 0;
}

uint32_t kss_audit_level(const kss_policy *policy) {
    struct transaction tx = transaction_of(policy);
    for (uint32_t i = 0; i < count_of(tx.image, OBJECTS); i++) {
        const struct object *object = &objects_of(tx.image)[i];
        if (model_of(object) != &kss_model_level)
            continue;
        const uint32_t *context = find_context(&tx, object, 0);
        return context ? *context : config_of(tx.image, object)[0];
    }
    return tx.image->audit_level;
}

/* Puts what is recorded of calls and notes behind the notes of the state block. */
static uint32_t collect(const struct transaction *tx, const kss_call *call, kss_verdict verdict, uint32_t level,
                        kss_audited *out) {
    const struct note *note = tx->notes, *last = note + tx->state->notes;
    const kss_call *end = call + verdict.calls;
    uint32_t count = 0;
    while (call < end || note < last) {
        if (note < last && note->rule == NONE) {
            note++;
        } else if (call == end || (note < last && note->rule < call->rule)) {
            if (verdict.reason == KSS_BY_RULES && recorded(tx->image, note->rule, level, KSS_VALUE, note->value))
                out[count++] = (kss_audited){note->rule, KSS_VALUE, note->value};
            note++;
        } else {
            bool noted = note < last && note->rule == call->rule;
            uint32_t state = noted && call->result != KSS_FAILED ? note->value : NONE; /* failed: not called */
            if (recorded(tx->image, call->rule, level, call->result, state))
                out[count++] = (kss_audited){call->rule, call->result, 0};
            note += noted;
            call++;
        }
    }
    return count;
}

bool kss_audit(const kss_policy *policy, kss_verdict verdict, kss_record *record) {
    bool always = verdict.reason == KSS_BY_DEFAULT || verdict.reason == KSS_MALFORMED;
    if (!always && !count_of(image_of(policy), WATCHED))
        return false;
    struct transaction tx = transaction_of(policy);
    uint32_t level = tx.state->level == NONE ? kss_audit_level(policy) : tx.state->level;
    kss_audited *calls = (kss_audited *)(void *)(tx.notes + tx.image->max_notes);
    *record = (kss_record){.level = level, .calls = calls};
    if (!always)
        record->count = collect(&tx, kss_calls(policy), verdict, level, calls);
    return always || record->count;
}
