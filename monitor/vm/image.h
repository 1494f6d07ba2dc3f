/* Reading the tables of a verified image, and bytes of a message. */
#ifndef KSS_IMAGE_H
#define KSS_IMAGE_H

#include "format.h"

static inline const struct image *image_of(const kss_policy *policy) {
    return (const struct image *)(const void *)policy->image;
}

static inline const void *section_of(const struct image *image, enum section_id which) {
    return (const uint8_t *)image + image->sections[which].offset;
}

static inline uint32_t count_of(const struct image *image, enum section_id which) {
    return image->sections[which].count;
}

#define TABLE(name, record, which) \
    static inline const record *name(const struct image *image) { return section_of(image, which); }
TABLE(classes_of, struct class, CLASSES)
TABLE(endpoints_of, struct endpoint, ENDPOINTS)
TABLE(operations_of, struct operation, OPERATIONS)
TABLE(types_of, struct type, TYPES)
TABLE(nodes_of, struct node, NODES)
TABLE(rows_of, uint32_t, ROWS)
TABLE(cells_of, uint16_t, CELLS)
TABLE(entries_of, struct entry, ENTRIES)
TABLE(calls_of, kss_call, CALLS)
TABLE(code_of, struct instruction, CODE)
TABLE(objects_of, struct object, OBJECTS)
TABLE(words_of, uint32_t, WORDS)
TABLE(automata_of, struct automaton, AUTOMATA)
TABLE(transitions_of, uint16_t, TRANSITIONS)
TABLE(watched_of, struct watched, WATCHED)
TABLE(watches_of, struct watch, WATCHES)
#undef TABLE

/* A message is bytes of any alignment; compilers turn these into single loads. */
static inline uint32_t load16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t load32(const uint8_t *p) { return load16(p) | load16(p + 2) << 16; }
static inline uint64_t load64(const uint8_t *p) { return load32(p) | (uint64_t)load32(p + 4) << 32; }

static inline kss_span load_span(const uint8_t *p) {
    return (kss_span){.offset = load32(p), .size = load32(p + 4)};
}

static inline uint32_t minimum(uint32_t a, uint32_t b) { return a < b ? a : b; }

#endif
