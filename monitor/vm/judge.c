#include "program.h"
#include "table.h"

/* The decision table's entry for an event; NULL and a reason if there is none. */
static const struct entry *find_entry(const struct image *image, const kss_event *event,
                                      struct message *message, enum kss_reason *reason) {
    uint32_t classes = count_of(image, CLASSES), kind = event->kind;
    *reason = KSS_BY_DEFAULT;
    if (kind >= KSS_KINDS || event->src_class >= classes ||
        (kind != KSS_SECURITY && event->dst_class >= classes))
        return NULL;
    uint32_t server = kind == KSS_REQUEST ? event->dst_class : event->src_class;
    uint32_t peer = kind == KSS_RESPONSE || kind == KSS_ERROR ? event->dst_class : event->src_class;
    const uint32_t *row = kind == KSS_EXECUTE
        ? &classes_of(image)[event->dst_class].execute_row
        : find_row(image, server, kind, event->message, event->message_size, message);
    if (!row) {
        *reason = KSS_MALFORMED;
        return NULL;
    }
    return &entries_of(image)[cells_of(image)[(size_t)*row * classes + peer]];
}

kss_verdict kss_judge(kss_policy *policy, const kss_event *event) {
    struct transaction tx = transaction_of(policy);
    struct message message = {0};
    enum kss_reason reason;
    tx.state->constant = false;
    tx.state->notes = 0;
    tx.state->level = NONE;
    const struct entry *entry = find_entry(tx.image, event, &message, &reason);
    if (!entry || entry->kind == ENTRY_DEFAULT)
        return (kss_verdict){.reason = (uint8_t)reason, .rule = KSS_NO_RULE};

    if (entry->object != NONE) {
        prefetch_context(&tx, &objects_of(tx.image)[entry->object], event->dst_sid);
        prefetch_context(&tx, &objects_of(tx.image)[entry->object], event->src_sid);
    }
    if (event->kind == KSS_EXECUTE && event->released_sid)
        kss_drop(&tx, event->released_sid);
    kss_verdict verdict;
    if (entry->kind == ENTRY_PROGRAM) {
        verdict = kss_run(&tx, entry, event, &message);
    } else {
        tx.state->constant = true;
        tx.state->first = entry->first;
        verdict = (kss_verdict){.granted = entry->kind == ENTRY_GRANTED,
                                .calls = (uint16_t)entry->count,
                                .rule = entry->rule};
    }
    if (verdict.granted && !event->trial)
        commit(&tx);
    else
        kss_undo(&tx);
    return verdict;
}

const kss_call *kss_calls(const kss_policy *policy) {
    struct transaction tx = transaction_of(policy);
    return tx.state->constant ? calls_of(tx.image) + tx.state->first : tx.calls;
}

uint32_t kss_find_class(const kss_policy *policy, uint64_t name_hash) {
    const struct image *image = image_of(policy);
    for (uint32_t i = 0; i < count_of(image, CLASSES); i++)
        if (classes_of(image)[i].name_hash == name_hash)
            return i;
    return KSS_NO_CLASS;
}
