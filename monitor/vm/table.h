/* Contexts of one object by SID: a hash table of fixed size whose entries never
 * move, so that a freed one is as good as new and every change can be undone. */
#ifndef KSS_TABLE_H
#define KSS_TABLE_H

#include "state.h"

#define CLAIM_WRITES 4u /* words changed by kss_table_claim, before the context itself is filled */
#define DROP_WRITES 4u

/* Words of state an object's table takes. */
uint64_t kss_table_words(const struct object *object);

void kss_table_reset(const struct transaction *tx, const struct object *object);

/* The context of a SID, NULL if it has none. */
uint32_t *kss_table_find(const struct transaction *tx, const struct object *object, uint32_t sid);

/* Gives a SID that has none a context of unspecified content; NULL if the table is full. */
uint32_t *kss_table_claim(const struct transaction *tx, const struct object *object, uint32_t sid);

/* Takes a SID's context away; false if it has none. */
bool kss_table_drop(const struct transaction *tx, const struct object *object, uint32_t sid);

/* Copies all contexts into an empty table; leaves it empty and returns false if they do not fit. */
bool kss_table_copy(const struct transaction *to, const struct object *object, const struct transaction *from,
                const struct object *old);

#endif
