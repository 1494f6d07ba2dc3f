/* How a dictionary lies in its words, and looking a key up: inline, as every stateful verdict
 * waits for it. For those who look up much; others need only dictionary.h. */
#ifndef KSS_LOOKUP_H
#define KSS_LOOKUP_H

#include "dictionary.h"

/* The words are: the number of records ever used, the first free one of them, the buckets (two
 * for each record), the records.
 *
 * A link is 0 (nowhere) or 2 * the number of a record from 1, plus 1 if it leads to the node
 * of that record and not to its key. A bucket links to a key or to a node; a node, to one of
 * two links by one bit of the key, in ascending order from the root. Of the records of a bucket
 * all but one lend their node to the trie, and a record's node lies above its key.
 *
 * A bucket counts only if its record has been used since the dictionary was cleared and has
 * the bucket as its home: if the bucket was not written since, there is no such record. */
enum { USED, FREE, BUCKETS };
enum { BIT, SIDES, HOME = SIDES + 2, KEY }; /* what a look-up reads lies together */

static inline uint32_t buckets_of(const struct dictionary *d) { return 2 * d->capacity; }

static inline uint32_t *record_at(const struct dictionary *d, uint32_t link) {
    uint32_t size = KEY + d->key_words + d->value_words;
    return d->words + BUCKETS + buckets_of(d) + (size_t)((link >> 1) - 1) * size;
}

static inline bool is_node(uint32_t link) { return link & 1; }

static inline uint32_t bit_of(const uint32_t *key, uint32_t bit) {
    return key[bit / 32] >> (bit % 32) & 1;
}

/* Multiplicative hashing spreads keys numbered in turn evenly; its high bits are the good ones. */
static inline uint32_t bucket_of(const struct dictionary *d, const uint32_t *key) {
    uint32_t hash = 0;
    for (uint32_t i = 0; i < d->key_words; i++)
        hash = (hash ^ hash >> 15 ^ key[i]) * 0x9e3779b1u;
    return (uint32_t)((uint64_t)hash * buckets_of(d) >> 32);
}

static inline uint32_t root_of(const struct dictionary *d, uint32_t bucket) {
    uint32_t link = d->words[BUCKETS + bucket];
    bool counts = (link >> 1) - 1 < d->words[USED] && record_at(d, link)[HOME] == bucket;
    return counts ? link : 0;
}

/* The one key below a link that may be equal. */
static inline uint32_t *candidate(const struct dictionary *d, uint32_t link, const uint32_t *key) {
    uint32_t *record = record_at(d, link);
    while (is_node(link)) {
        link = record[SIDES + bit_of(key, record[BIT])];
        record = record_at(d, link);
    }
    return record + KEY;
}

static inline bool same_key(const struct dictionary *d, const uint32_t *a, const uint32_t *b) {
    for (uint32_t i = 0; i < d->key_words; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* The key's value, NULL if it has none. */
static inline uint32_t *find_key(const struct dictionary *d, const uint32_t *key) {
    uint32_t link = root_of(d, bucket_of(d, key));
    uint32_t *found = link ? candidate(d, link, key) : NULL;
    return found && same_key(d, found, key) ? found + d->key_words : NULL;
}

#endif
