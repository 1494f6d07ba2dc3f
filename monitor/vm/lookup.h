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
 * A bucket counts only if its record has been used since the dictionary was cleared and the
 * key there belongs to the bucket: if the bucket was not written since, there is no such record. */
enum { RECORDS_USED, RECORDS_FREE, BUCKET_LINKS };
enum { NODE_BIT, NODE_SIDES, RECORD_KEY = NODE_SIDES + 2 }; /* what a look-up reads lies together */

static inline uint32_t buckets_of(const struct dictionary *d) { return 2 * d->capacity; }

static inline uint32_t *record_at(const struct dictionary *d, uint32_t link) {
    uint32_t size = RECORD_KEY + d->key_words + d->value_words;
    return d->words + BUCKET_LINKS + buckets_of(d) + (size_t)((link >> 1) - 1) * size;
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

static inline bool is_used(const struct dictionary *d, uint32_t link) {
    return (link >> 1) - 1 < d->words[RECORDS_USED];
}

static inline uint32_t root_of(const struct dictionary *d, uint32_t bucket) {
    uint32_t link = d->words[BUCKET_LINKS + bucket];
    bool counts = is_used(d, link) && bucket_of(d, record_at(d, link) + RECORD_KEY) == bucket;
    return counts ? link : 0;
}

/* The one key below a link that may be equal. */
static inline uint32_t *candidate(const struct dictionary *d, uint32_t link, const uint32_t *key) {
    uint32_t *record = record_at(d, link);
    while (is_node(link)) {
        link = record[NODE_SIDES + bit_of(key, record[NODE_BIT])];
        record = record_at(d, link);
    }
    return record + RECORD_KEY;
}

static inline bool same_key(const struct dictionary *d, const uint32_t *a, const uint32_t *b) {
    for (uint32_t i = 0; i < d->key_words; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* The key's value, NULL if it has none. That a bucket with one key counts is seen from the key. */
__attribute__((always_inline)) static inline uint32_t *find_key(const struct dictionary *d, const uint32_t *key) {
    uint32_t bucket = bucket_of(d, key), link = d->words[BUCKET_LINKS + bucket];
    if (is_node(link))
        link = root_of(d, bucket);
    if (!is_used(d, link))
        return NULL;
    uint32_t *found = candidate(d, link, key);
    return same_key(d, found, key) ? found + d->key_words : NULL;
}

#endif
