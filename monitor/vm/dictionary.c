#include "lookup.h"

/* The first bit in which two keys differ; NONE if they are equal. */
static uint32_t difference(const struct dictionary *d, const uint32_t *a, const uint32_t *b) {
    for (uint32_t i = 0; i < d->key_words; i++) {
        uint32_t bits = a[i] ^ b[i], first = 0;
        if (!bits)
            continue;
        while (!(bits >> first & 1))
            first++;
        return 32 * i + first;
    }
    return NONE;
}

uint64_t kss_dictionary_words(const struct dictionary *d) {
    uint64_t record = RECORD_KEY + (uint64_t)d->key_words + d->value_words;
    return BUCKET_LINKS + (2 + record) * d->capacity;
}

void kss_dictionary_clear(const struct transaction *tx, const struct dictionary *d) {
    set_word(tx, &d->words[RECORDS_USED], 0);
    set_word(tx, &d->words[RECORDS_FREE], 0);
}

/* The link to an unused record, 0 if there is none. */
static uint32_t take_record(const struct transaction *tx, const struct dictionary *d) {
    uint32_t *used = &d->words[RECORDS_USED], *free = &d->words[RECORDS_FREE];
    uint32_t link = *free;
    if (link) {
        set_word(tx, free, record_at(d, link)[NODE_SIDES]);
    } else if (*used < d->capacity) {
        set_word(tx, used, *used + 1);
        link = *used << 1;
    }
    return link;
}

/* Hangs a record into the trie of the bucket `at`, at the bit where it parts from the others. */
static void hang(const struct transaction *tx, const struct dictionary *d, uint32_t *at, uint32_t link,
                 uint32_t bit) {
    uint32_t *record = record_at(d, link), *key = record + RECORD_KEY;
    uint32_t *above = record_at(d, *at);
    while (is_node(*at) && above[NODE_BIT] < bit) {
        at = &above[NODE_SIDES + bit_of(key, above[NODE_BIT])];
        above = record_at(d, *at);
    }
    uint32_t side = bit_of(key, bit);
    set_word(tx, &record[NODE_BIT], bit);
    set_word(tx, &record[NODE_SIDES + side], link);
    set_word(tx, &record[NODE_SIDES + !side], *at);
    set_word(tx, at, link | 1);
}

uint32_t *kss_dictionary_add(const struct transaction *tx, const struct dictionary *d,
                             const uint32_t *key) {
    uint32_t bucket = bucket_of(d, key), root = root_of(d, bucket), bit = 0;
    uint32_t *at = &d->words[BUCKET_LINKS + bucket];
    if (root) {
        uint32_t *found = candidate(d, root, key);
        bit = difference(d, found, key);
        if (bit == NONE)
            return found + d->key_words;
    }
    uint32_t link = take_record(tx, d);
    if (!link)
        return NULL;
    uint32_t *record = record_at(d, link);
    for (uint32_t i = 0; i < d->key_words; i++)
        set_word(tx, &record[RECORD_KEY + i], key[i]);
    if (root)
        hang(tx, d, at, link, bit);
    else
        set_word(tx, at, link);
    return record + RECORD_KEY + d->key_words;
}

/* Lets the record behind `spare` do what the node `link` does, which lies above `key`. */
static void replace_node(const struct transaction *tx, const struct dictionary *d, uint32_t *root,
                         const uint32_t *key, uint32_t link, uint32_t spare) {
    const uint32_t *from = record_at(d, link);
    uint32_t *to = record_at(d, spare), *at = root;
    while (*at != link) {
        if (!is_node(*at))
            return; /* it lends none */
        uint32_t *record = record_at(d, *at);
        at = &record[NODE_SIDES + bit_of(key, record[NODE_BIT])];
    }
    set_word(tx, &to[NODE_BIT], from[NODE_BIT]);
    set_word(tx, &to[NODE_SIDES], from[NODE_SIDES]);
    set_word(tx, &to[NODE_SIDES + 1], from[NODE_SIDES + 1]);
    set_word(tx, at, spare);
}

bool kss_dictionary_remove(const struct transaction *tx, const struct dictionary *d,
                           const uint32_t *key) {
    uint32_t bucket = bucket_of(d, key), link = root_of(d, bucket);
    uint32_t *root = &d->words[BUCKET_LINKS + bucket], *above = NULL, *at = root;
    if (!link || !same_key(d, candidate(d, link, key), key))
        return false;
    while (is_node(*at)) {
        uint32_t *record = record_at(d, *at);
        above = at;
        at = &record[NODE_SIDES + bit_of(key, record[NODE_BIT])];
    }
    link = *at;
    if (above) {
        uint32_t node = *above;
        const uint32_t *sides = record_at(d, node) + NODE_SIDES;
        set_word(tx, above, sides[at == sides]);
        if (node != (link | 1))
            replace_node(tx, d, root, key, link | 1, node);
    } else {
        set_word(tx, root, 0);
    }
    set_word(tx, &record_at(d, link)[NODE_SIDES], d->words[RECORDS_FREE]);
    set_word(tx, &d->words[RECORDS_FREE], link);
    return true;
}

uint32_t kss_dictionary_places(const struct dictionary *d) { return d->words[RECORDS_USED]; }

const uint32_t *kss_dictionary_at(const struct dictionary *d, uint32_t place) {
    const uint32_t *key = record_at(d, 2 * (place + 1)) + RECORD_KEY;
    return find_key(d, key) == key + d->key_words ? key : NULL;
}
