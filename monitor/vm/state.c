#include "state.h"
#include "table.h"

void kss_undo(const struct transaction *tx) {
    while (tx->state->writes) {
        struct write write = tx->log[--tx->state->writes];
        tx->words[write.word] = write.old;
    }
}

void kss_drop(const struct transaction *tx, uint32_t sid) {
    for (uint32_t i = 0; i < count_of(tx->image, OBJECTS); i++)
        kss_table_drop(tx, &objects_of(tx->image)[i], sid);
}

void kss_release(kss_policy *policy, uint32_t sid) {
    struct transaction tx = transaction_of(policy);
    if (sid) /* 0 is no resource: what is kept under it is the policy's own */
        kss_drop(&tx, sid);
    commit(&tx);
}

size_t kss_state_size(const void *base) {
    const struct image *image = base;
    return sizeof(struct state) + image->max_calls * sizeof(kss_call) +
           image->max_writes * sizeof(struct write) + image->state_words * sizeof(uint32_t) +
           image->max_notes * sizeof(struct note) + kss_audit_most(image) * sizeof(kss_audited);
}

void kss_bind(kss_policy *policy, const void *image, size_t size, void *state) {
    *policy = (kss_policy){.image = image, .size = size, .state = state};
}

kss_status kss_init(kss_policy *policy, const void *image, size_t size, void *state, size_t state_size) {
    if (size != ((const struct image *)image)->size)
        return KSS_BAD_SIZE;
    if (state_size < kss_state_size(image))
        return KSS_NO_MEMORY;
    uint32_t *words = state;
    for (size_t i = 0; i < kss_state_size(image) / sizeof *words; i++)
        words[i] = 0;
    kss_bind(policy, image, size, state);
    struct transaction tx = transaction_of(policy);
    tx.state->level = NONE;
    for (uint32_t i = 0; i < count_of(tx.image, OBJECTS); i++)
        kss_table_reset(&tx, &objects_of(tx.image)[i]);
    return KSS_OK;
}

/* The hash alone is no proof that the contexts fit: an image may lie about it. */
static bool same_object(const struct image *a, const struct object *x, const struct image *b,
                        const struct object *y) {
    if (x->identity != y->identity || x->model != y->model || x->config_words != y->config_words ||
        x->context_words != y->context_words)
        return false;
    for (uint32_t i = 0; i < x->config_words; i++)
        if (words_of(a)[x->config + i] != words_of(b)[y->config + i])
            return false;
    return true;
}

uint32_t kss_objects(const kss_policy *policy) {
    return count_of(image_of(policy), OBJECTS);
}

bool kss_migrate_object(kss_policy *to, uint32_t number, const kss_policy *from) {
    struct transaction target = transaction_of(to), source = transaction_of(from);
    const struct object *object = &objects_of(target.image)[number];
    for (uint32_t i = 0; i < count_of(source.image, OBJECTS); i++) {
        const struct object *old = &objects_of(source.image)[i];
        if (same_object(target.image, object, source.image, old))
            return kss_table_copy(&target, object, &source, old);
    }
    return false;
}

uint32_t kss_migrate(kss_policy *to, const kss_policy *from) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < kss_objects(to); i++)
        kept += kss_migrate_object(to, i, from);
    return kept;
}
