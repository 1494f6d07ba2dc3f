#include "table.h"

uint64_t kss_table_words(const struct object *object) {
    struct dictionary shape = {NULL, object->capacity, 1, object->context_words};
    return kss_dictionary_words(&shape);
}

void kss_table_reset(const struct transaction *tx, const struct object *object) {
    struct dictionary contexts = contexts_of(tx, object);
    kss_dictionary_clear(tx, &contexts);
    commit(tx);
}

uint32_t *kss_table_claim(const struct transaction *tx, const struct object *object, uint32_t sid) {
    struct dictionary contexts = contexts_of(tx, object);
    return kss_dictionary_add(tx, &contexts, &sid);
}

bool kss_table_drop(const struct transaction *tx, const struct object *object, uint32_t sid) {
    struct dictionary contexts = contexts_of(tx, object);
    return kss_dictionary_remove(tx, &contexts, &sid);
}

bool kss_table_copy(const struct transaction *to, const struct object *object, const struct transaction *from,
                const struct object *old) {
    struct dictionary source = contexts_of(from, old);
    for (uint32_t place = 0; place < kss_dictionary_places(&source); place++) {
        const uint32_t *key = kss_dictionary_at(&source, place);
        if (!key)
            continue;
        uint32_t *context = kss_table_claim(to, object, *key);
        commit(to);
        if (!context) {
            kss_table_reset(to, object);
            return false;
        }
        for (uint32_t i = 0; i < object->context_words; i++)
            context[i] = key[1 + i];
    }
    return true;
}
