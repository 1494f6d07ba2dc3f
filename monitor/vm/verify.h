/* One pass over an untrusted image, in time linear in its size. */
#ifndef KSS_VERIFY_H
#define KSS_VERIFY_H

#include "image.h"

struct verifier {
    const struct image *image;
    uint32_t taken[SECTIONS]; /* records that have their owner */
    kss_status status;
    size_t where;
};

/* Owner's list is the next `count` records of the section: each has one owner. */
static inline bool take(struct verifier *v, enum section_id which, uint32_t first, uint32_t count) {
    if (first != v->taken[which] || count > count_of(v->image, which) - first)
        return false;
    v->taken[which] += count;
    return true;
}

/* Notes what is wrong and with which record; returns false. */
bool kss_defect(struct verifier *v, kss_status status, enum section_id which, uint32_t record);

static inline bool all_taken(struct verifier *v, enum section_id which) {
    uint32_t taken = v->taken[which];
    return taken == count_of(v->image, which) || kss_defect(v, KSS_BAD_TABLE, which, taken);
}

/* Types and nodes. */
bool kss_verify_layouts(struct verifier *v);

/* Automata and their transitions. */
bool kss_verify_automata(struct verifier *v);

#endif
