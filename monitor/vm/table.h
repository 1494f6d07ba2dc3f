/* Contexts of one object by SID: a dictionary, so that a freed place is as good as new, every
 * change can be undone, and no choice of SIDs makes a look-up slow. */
#ifndef KSS_TABLE_H
#define KSS_TABLE_H

#include "lookup.h"

#define CLAIM_WRITES 6u /* words changed by kss_table_claim, before the context itself is filled */
#define DROP_WRITES 7u
_Static_assert(CLAIM_WRITES == ADD_WRITES(1) && DROP_WRITES == REMOVE_WRITES, "the compiler counts so");

/* Words of state an object's table takes. */
uint64_t kss_table_words(const struct object *object);

void kss_table_reset(const struct transaction *tx, const struct object *object);

static inline struct dictionary contexts_of(const struct transaction *tx, const struct object *object) {
    return (struct dictionary){.words = tx->words + object->state,
                               .capacity = object->capacity,
                               .key_words = 1,
                               .value_words = object->context_words};
}

/* The context of a SID, NULL if it has none. */
static inline uint32_t *find_context(const struct transaction *tx, const struct object *object, uint32_t sid) {
    struct dictionary contexts = contexts_of(tx, object);
    return find_key(&contexts, &sid);
}

/* Lets the memory fetch what looking up a SID begins with. */
static inline void prefetch_context(const struct transaction *tx, const struct object *object, uint32_t sid) {
    struct dictionary contexts = contexts_of(tx, object);
    __builtin_prefetch(&contexts.words[BUCKET_LINKS + bucket_of(&contexts, &sid)]);
}

/* Gives a SID that has none a context of unspecified content; NULL if the table is full. */
uint32_t *kss_table_claim(const struct transaction *tx, const struct object *object, uint32_t sid);

/* Takes a SID's context away; false if it has none. */
bool kss_table_drop(const struct transaction *tx, const struct object *object, uint32_t sid);

/* Copies all contexts into an empty table; leaves it empty and returns false if they do not fit. */
bool kss_table_copy(const struct transaction *to, const struct object *object, const struct transaction *from,
                const struct object *old);

#endif
