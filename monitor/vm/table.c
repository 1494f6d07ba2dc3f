#include "table.h"

/* Words of a table: head of the free list, heads of the buckets, entries. A link
 * is the number of an entry from 1, or 0. SIDs are numbered in turn, so that
 * their low bits spread them well. */
enum { SID, NEXT, CONTEXT };

static uint32_t *start_of(const struct transaction *tx, const struct object *object) {
    return tx->words + object->state;
}

static uint32_t *entry_at(const struct transaction *tx, const struct object *object, uint32_t link) {
    uint32_t *first = start_of(tx, object) + 1 + object->buckets;
    return first + (size_t)(link - 1) * (CONTEXT + object->context_words);
}

static uint32_t *bucket_of(const struct transaction *tx, const struct object *object, uint32_t sid) {
    return start_of(tx, object) + 1 + (sid & (object->buckets - 1));
}

/* The link that leads to the SID's entry, or the empty one at the end of its bucket. */
static uint32_t *link_to(const struct transaction *tx, const struct object *object, uint32_t sid) {
    uint32_t *link = bucket_of(tx, object, sid);
    while (*link && entry_at(tx, object, *link)[SID] != sid)
        link = &entry_at(tx, object, *link)[NEXT];
    return link;
}

uint64_t kss_table_words(const struct object *object) {
    uint64_t entry = CONTEXT + (uint64_t)object->context_words;
    return 1 + (uint64_t)object->buckets + object->capacity * entry;
}

void kss_table_reset(const struct transaction *tx, const struct object *object) {
    uint32_t *start = start_of(tx, object);
    start[0] = 1;
    for (uint32_t i = 0; i < object->buckets; i++)
        start[1 + i] = 0;
    for (uint32_t link = 1; link <= object->capacity; link++) {
        entry_at(tx, object, link)[SID] = 0;
        entry_at(tx, object, link)[NEXT] = link < object->capacity ? link + 1 : 0;
    }
}

uint32_t *kss_table_find(const struct transaction *tx, const struct object *object, uint32_t sid) {
    uint32_t *link = link_to(tx, object, sid);
    return *link ? entry_at(tx, object, *link) + CONTEXT : NULL;
}

uint32_t *kss_table_claim(const struct transaction *tx, const struct object *object, uint32_t sid) {
    uint32_t *free = start_of(tx, object), *bucket = bucket_of(tx, object, sid);
    uint32_t link = *free;
    if (!link)
        return NULL;
    uint32_t *entry = entry_at(tx, object, link);
    set_word(tx, free, entry[NEXT]);
    set_word(tx, &entry[SID], sid);
    set_word(tx, &entry[NEXT], *bucket);
    set_word(tx, bucket, link);
    return entry + CONTEXT;
}

bool kss_table_drop(const struct transaction *tx, const struct object *object, uint32_t sid) {
    uint32_t *free = start_of(tx, object), *link = link_to(tx, object, sid);
    uint32_t number = *link;
    if (!number)
        return false;
    uint32_t *entry = entry_at(tx, object, number);
    set_word(tx, link, entry[NEXT]);
    set_word(tx, &entry[NEXT], *free);
    set_word(tx, &entry[SID], 0);
    set_word(tx, free, number);
    return true;
}

bool kss_table_copy(const struct transaction *to, const struct object *object, const struct transaction *from,
                const struct object *old) {
    const uint32_t *heads = start_of(from, old) + 1;
    for (uint32_t bucket = 0; bucket < old->buckets; bucket++) {
        const uint32_t *entry;
        for (uint32_t link = heads[bucket]; link; link = entry[NEXT]) {
            entry = entry_at(from, old, link);
            uint32_t *context = kss_table_claim(to, object, entry[SID]);
            commit(to);
            if (!context) {
                kss_table_reset(to, object);
                return false;
            }
            for (uint32_t i = 0; i < object->context_words; i++)
                context[i] = entry[CONTEXT + i];
        }
    }
    return true;
}
