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

#define TABLE(name, reader, record) \
    static inline const record *reader(const struct image *image) { return section_of(image, name); }
KSS_TABLES(TABLE)
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
