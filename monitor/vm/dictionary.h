/* A dictionary of fixed capacity in words of the state: keys of some words lead to values of
 * some words.
 *
 * It is hashed, and the keys of one bucket form a binary trie: however keys are chosen, a
 * look-up takes no more steps than a key has bits. Records never move and every change goes
 * through the log, so that all of it can be undone. */
#ifndef KSS_DICTIONARY_H
#define KSS_DICTIONARY_H

#include "state.h"

/* `find_key` of lookup.h finds a key's value. */
struct dictionary {
    uint32_t *words; /* see lookup.h */
    uint32_t capacity;
    uint32_t key_words;
    uint32_t value_words;
};

/* Most words that one change writes. */
#define CLEAR_WRITES 2u
#define ADD_WRITES(key_words) (5u + (key_words)) /* but for the value */
#define REMOVE_WRITES 7u

/* Words of state that a dictionary of this shape takes. */
uint64_t kss_dictionary_words(const struct dictionary *dictionary);

/* Takes all keys away; what the words held before does not matter. */
void kss_dictionary_clear(const struct transaction *tx, const struct dictionary *dictionary);

/* The key's value, a new one of unspecified content if it has none; NULL if that does not fit. */
uint32_t *kss_dictionary_add(const struct transaction *tx, const struct dictionary *dictionary,
                             const uint32_t *key);

/* Takes the key away; false if it is not there. */
bool kss_dictionary_remove(const struct transaction *tx, const struct dictionary *dictionary,
                           const uint32_t *key);

/* All keys have places below this; the key of a place, followed by its value, is NULL if that
 * place is free. */
uint32_t kss_dictionary_places(const struct dictionary *dictionary);
const uint32_t *kss_dictionary_at(const struct dictionary *dictionary, uint32_t place);

#endif
